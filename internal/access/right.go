package access

// OwnRole is what a Teleport role of pdhook's user says of reviews (review_requests).
type OwnRole struct {
	Name     string
	Reviews  []string // roles that may be reviewed: names, names with "*", or expressions from "^" to "$"
	Where    string   // predicate that a request has to fulfil as well; "": none
	ByClaims bool     // more roles come from traits of the user, and cannot be told
	Refuses  []string // roles that may not be reviewed, whatever other roles allow
}

// WriteIncidents is the Right to open incidents, to note and to resolve.
const WriteIncidents = "write incidents"

// Right is something that pdhook has PagerDuty do, with the key it has. Err is why PagerDuty does not do it, nil
// when it does. A Failure of access.ErrDenied is a missing permission.
type Right struct {
	Doing string // "read services"
	Err   error
}
