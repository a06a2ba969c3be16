package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Every key begins with one letter. IDs and names in a key carry their length in front, so that no
// name, whatever is in it, is the beginning of another; times are big-endian nanoseconds, so that
// keys lie in the order of time.
//
//	!schema                  "1"       what this drawing is; a higher number is refused
//	!replica                 text      random name of this directory
//
//	e event                  delivery  an accepted event: ID, type, times, outcome;
//	                                   until it took effect also what it points at and whom it wakes
//	b event                  raw       its body as signed, until it took effect
//	n received event         -         accepted, not yet known whom it concerns
//	r received event         -         all events by time
//	w request event          -         the event waits for this request to be looked at
//
//	l request                link
//	o request                -         the link is open
//	f finished request       -         finished links by time
//	i incident request       -         the link has this incident, or one merged into it
//	s service request        -         pending, and its roles name this service by ID
//	t name request           -         pending, and its roles name this service by name (folded)
//
//	d request                decision  the latest
//	h time request           -         decisions by time
//
// delivery, link, decision and raw begin with the byte 1, the version of their form; the first three go
// on as JSON. "-" is empty: those are indexes, made from the record and changed together with it.
const (
	keySchema  = "!schema"
	keyReplica = "!replica"

	prefixEvent       = 'e'
	prefixBody        = 'b'
	prefixNew         = 'n'
	prefixReceived    = 'r'
	prefixWaiting     = 'w'
	prefixLink        = 'l'
	prefixOpen        = 'o'
	prefixFinished    = 'f'
	prefixIncident    = 'i'
	prefixService     = 's'
	prefixServiceName = 't'
	prefixDecision    = 'd'
	prefixDecided     = 'h'
)

// Bounds of an ID or name in a key, and of a whole key, in bytes. Real IDs have under 100. Badger takes
// keys of up to 65,000.
const (
	maxPart = 1024
	maxKey  = 3 * maxPart
)

type key []byte

func newKey(prefix byte) key { return key{prefix} }

func (k key) text(s string) key {
	return append(binary.BigEndian.AppendUint16(k, uint16(len(s))), s...)
}

func (k key) time(t time.Time) key {
	return binary.BigEndian.AppendUint64(k, nanos(t))
}

// nanos counts from 1970; whatever lies before it, such as the zero time, comes first.
func nanos(t time.Time) uint64 {
	if t.Unix() < 0 {
		return 0
	}
	return uint64(t.UnixNano())
}

func eventKey(id access.EventID) key      { return newKey(prefixEvent).text(string(id)) }
func bodyKey(id access.EventID) key       { return newKey(prefixBody).text(string(id)) }
func linkKey(id access.RequestID) key     { return newKey(prefixLink).text(string(id)) }
func openKey(id access.RequestID) key     { return newKey(prefixOpen).text(string(id)) }
func decisionKey(id access.RequestID) key { return newKey(prefixDecision).text(string(id)) }
func waitingOf(id access.RequestID) key   { return newKey(prefixWaiting).text(string(id)) }
func incidentOf(id access.IncidentID) key { return newKey(prefixIncident).text(string(id)) }
func serviceOf(id access.ServiceID) key   { return newKey(prefixService).text(string(id)) }
func serviceNameOf(name string) key       { return newKey(prefixServiceName).text(fold(name)) }

func newEventKey(received time.Time, id access.EventID) key {
	return newKey(prefixNew).time(received).text(string(id))
}

func receivedKey(received time.Time, id access.EventID) key {
	return newKey(prefixReceived).time(received).text(string(id))
}

func finishedKey(finished time.Time, id access.RequestID) key {
	return newKey(prefixFinished).time(finished).text(string(id))
}

func decidedKey(decided time.Time, id access.RequestID) key {
	return newKey(prefixDecided).time(decided).text(string(id))
}

// fold lowers ASCII letters, as PagerDuty compares names of services, and cuts what no service is called.
func fold(name string) string { return access.Fold(name[:min(len(name), maxPart)]) }

// last gives the text at the end of an index key, behind a head of known length: the ID it leads to.
func last(k []byte, head int) (string, error) {
	if len(k) < head+2 || len(k)-head-2 != int(binary.BigEndian.Uint16(k[head:])) {
		return "", fmt.Errorf("%w: index key %x", errDamaged, k)
	}
	return string(k[head+2:]), nil
}

// first gives the ID or name that follows the prefix.
func first(k []byte) (string, error) {
	if len(k) < 3 || len(k) < 3+int(binary.BigEndian.Uint16(k[1:])) {
		return "", fmt.Errorf("%w: index key %x", errDamaged, k)
	}
	return string(k[3 : 3+int(binary.BigEndian.Uint16(k[1:]))]), nil
}

// timed is the length of the head of a key that begins with a time.
const timed = 1 + 8

// timeOf gives the time at the beginning of such a key.
func timeOf(k []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(k[1:timed])))
}

// unique drops repetitions.
func unique[T ~string](all []T) []T { return slices.Compact(slices.Sorted(slices.Values(all))) }

// checkID refuses IDs that cannot be part of a key.
func checkID[T ~string](what string, id T) error {
	switch {
	case id == "":
		return fmt.Errorf("%s has no ID", what)
	case len(id) > maxPart:
		return fmt.Errorf("ID of %s is longer than %d bytes", what, maxPart)
	}
	return nil
}
