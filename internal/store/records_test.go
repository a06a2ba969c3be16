package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestRecordsAreWhatIsOpenAndThenTheLatestDecisionsOnTheRest(t *testing.T) {
	r := newRig(t)
	decided := func(id access.RequestID, at time.Duration) *access.Decision {
		d := no(id, "decided", noon.Add(at))
		return &d
	}
	open := func(id access.RequestID) *access.Link { l := pending(id); return &l }
	finished := func(id access.RequestID) *access.Link {
		l := pending(id)
		l.State, l.Finished = access.Denied, noon
		return &l
	}
	for _, o := range []access.Outcome{
		{Link: open("open2"), Decision: decided("open2", 9*time.Second)}, // newer than all of the finished
		{Link: open("open1")},
		{Link: finished("old"), Decision: decided("old", 1*time.Second)},
		{Link: finished("changed"), Decision: decided("changed", 2*time.Second)},
		{Link: finished("new"), Decision: decided("new", 3*time.Second)},
		{Link: finished("undecided")},
		{Decision: decided("stray", 4*time.Second)},
	} {
		r.record(o)
	}
	again := no("changed", "otherwise", noon.Add(5*time.Second))
	r.record(access.Outcome{Decision: &again})
	r.reopen()
	for limit, want := range map[int]string{
		0: "open1 open2:decided",
		2: "open1 open2:decided changed:otherwise new:decided",
		9: "open1 open2:decided changed:otherwise new:decided old:decided",
	} {
		var got []string
		for _, rec := range must[[]Record](t)(r.Records(t.Context(), limit)) {
			text := string(rec.Link.Request)
			if rec.Decision != nil {
				text += ":" + rec.Decision.Sentence
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("at most %d finished ones:\ngot  %s\nwant %s", limit, strings.Join(got, " "), want)
		}
	}
}

func TestTheRecordOfOneRequest(t *testing.T) {
	r := newRig(t)
	link, d := pending("r1"), no("r1", "not on call", noon)
	r.record(access.Outcome{Link: &link})
	if got := must[Record](t)(r.RecordOf(t.Context(), "r1")); got.Decision != nil || got.Link.Request != "r1" {
		t.Errorf("before the first decision: got %+v", got)
	}
	r.record(access.Outcome{Decision: &d})
	r.reopen()
	wantSame(t, "record", must[Record](t)(r.RecordOf(t.Context(), "r1")), Record{link, &d})
	if _, err := r.RecordOf(t.Context(), "r"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("unknown request: got error %v, want not found", err)
	}
}
