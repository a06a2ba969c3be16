package access

// Rule is an Access Monitoring Rule that names services to notify of Access Requests (spec §3).
type Rule struct {
	Name       string
	Condition  string   // in Teleport's predicate language
	Recipients []string // services to notify, as values of an annotation
}
