package teleporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/client"
	rulesv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/accessmonitoringrules/v1"
	headerv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/header/v1"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
)

var (
	requestsOnly     = types.Watch{Kinds: []types.WatchKind{{Kind: types.KindAccessRequest}}}
	requestsAndRules = types.Watch{
		Kinds:               []types.WatchKind{{Kind: types.KindAccessRequest}, {Kind: types.KindAccessMonitoringRule}},
		AllowPartialSuccess: true,
	}
)

func openWatch(t *testing.T, c *client.Client, watch types.Watch) types.Watcher {
	t.Helper()
	w, err := c.NewWatcher(t.Context(), watch)
	must(t, err)
	t.Cleanup(func() { w.Close() })
	return w
}

// next gives the next event of a watch that is alive.
func next(t *testing.T, w types.Watcher) types.Event {
	t.Helper()
	select {
	case event := <-w.Events():
		return event
	case <-w.Done():
		t.Fatalf("the watch ended: %v", w.Error())
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	return types.Event{}
}

// end gives the error of a watch that must end without another event.
func end(t *testing.T, w types.Watcher) error {
	t.Helper()
	select {
	case event := <-w.Events():
		t.Fatalf("got a %v event, want the end", event.Type)
	case <-w.Done():
	case <-time.After(patience):
		t.Fatal("the watch did not end")
	}
	return w.Error()
}

// live opens a watch and takes its INIT.
func live(t *testing.T, c *client.Client, watch types.Watch) types.Watcher {
	t.Helper()
	w := openWatch(t, c, watch)
	if event := next(t, w); event.Type != types.OpInit {
		t.Fatalf("first event: got %v, want INIT", event.Type)
	}
	return w
}

func rule(name, notifies string) *rulesv1.AccessMonitoringRule {
	return &rulesv1.AccessMonitoringRule{
		Metadata: &headerv1.Metadata{Name: name},
		Spec: &rulesv1.AccessMonitoringRuleSpec{
			Subjects:     []string{types.KindAccessRequest},
			Condition:    "true",
			Notification: &rulesv1.Notification{Name: notifies, Recipients: []string{"web"}},
		},
	}
}

func TestWatchTellsTheLifeOfARequestInOrder(t *testing.T) {
	s := start(t, Options{Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
	w := live(t, connect(t, s, plugin), requestsOnly)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}, Reason: "fire"})
	must(t, s.Review(id, reviewer, types.RequestState_APPROVED, ""))
	must(t, s.Review(id, "carol@example.com", types.RequestState_APPROVED, "go"))
	must(t, s.Delete(id))

	for i, want := range []types.RequestState{types.RequestState_PENDING, types.RequestState_PENDING, types.RequestState_APPROVED} {
		event := next(t, w)
		req, ok := event.Resource.(types.AccessRequest)
		if event.Type != types.OpPut || !ok {
			t.Fatalf("event %d: got %v %T, want a put of a request", i, event.Type, event.Resource)
		}
		if req.GetState() != want || len(req.GetReviews()) != i || req.GetRequestReason() != "fire" {
			t.Errorf("event %d: got %v with %d reviews, want %v with %d", i, req.GetState(), len(req.GetReviews()), want, i)
		}
	}
	event := next(t, w)
	header, ok := event.Resource.(*types.ResourceHeader)
	if event.Type != types.OpDelete || !ok || header.GetName() != id || header.GetKind() != types.KindAccessRequest {
		t.Errorf("got %v %v, want the delete with kind and ID only", event.Type, event.Resource)
	}
}

func TestWatchKeepsTheOrderOfManyEvents(t *testing.T) {
	s := start(t, Options{})
	w := live(t, connect(t, s, plugin), requestsOnly)
	var want []string
	for range 2000 { // more than any buffer on the way holds: the server blocks meanwhile
		want = append(want, s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}}))
	}
	for i := range want {
		if got := next(t, w).Resource.GetName(); got != want[i] {
			t.Fatalf("event %d: got %s, want %s", i, got, want[i])
		}
	}
}

func TestFilterOfAWatchAppliesToPutsOnly(t *testing.T) {
	s := start(t, Options{})
	filter := types.AccessRequestFilter{User: engineer}
	w := live(t, connect(t, s, plugin), types.Watch{Kinds: []types.WatchKind{{Kind: types.KindAccessRequest, Filter: filter.IntoMap()}}})
	other := s.CreateRequest(Request{User: "carol@example.com", Roles: []string{"prod"}})
	must(t, s.Delete(other))
	if event := next(t, w); event.Type != types.OpDelete || event.Resource.GetName() != other {
		t.Errorf("got %v %s, want the delete of the other user's request", event.Type, event.Resource.GetName())
	}
}

func TestWatchTellsRules(t *testing.T) {
	s := start(t, Options{})
	w := live(t, connect(t, s, plugin), requestsAndRules)
	s.PutRule(rule("night", Plugin))
	must(t, s.DeleteRule("night"))
	put := next(t, w).Resource.(types.Resource153Unwrapper).Unwrap().(*rulesv1.AccessMonitoringRule)
	if got := put.GetSpec().GetNotification().GetRecipients(); !slices.Equal(got, []string{"web"}) {
		t.Errorf("recipients: got %v", got)
	}
	if event := next(t, w); event.Type != types.OpDelete || event.Resource.GetName() != "night" {
		t.Errorf("got %v %s, want the delete", event.Type, event.Resource.GetName())
	}
}

func TestKindsThatAWatchConfirms(t *testing.T) {
	strict := types.Watch{Kinds: requestsAndRules.Kinds}
	both := []string{types.KindAccessRequest, types.KindAccessMonitoringRule}
	for name, row := range map[string]struct {
		watch   types.Watch
		prepare func(*Server)
		want    []string // nil: INIT names none
		refusal func(error) bool
		text    string
	}{
		"all are allowed": {watch: requestsAndRules, want: both},
		"no status":       {watch: requestsAndRules, prepare: func(s *Server) { s.Switch(func(sw *Switches) { sw.NoWatchStatus = true }) }},
		"one is refused":  {watch: requestsAndRules, prepare: func(s *Server) { s.Deny(plugin, ReadRules) }, want: both[:1]},
		"rules not known": {watch: requestsAndRules, prepare: func(s *Server) { s.Switch(func(sw *Switches) { sw.NoRules = true }) }, want: both[:1]},
		"none is allowed": {watch: requestsAndRules, prepare: func(s *Server) { s.Deny(plugin, ReadRules, ReadRequests) }, refusal: trace.IsBadParameter, text: `none of the requested kinds can be watched`},
		"strict, refused": {watch: strict, prepare: func(s *Server) { s.Deny(plugin, ReadRules) }, refusal: trace.IsAccessDenied, text: `access denied to perform action "read" on "access_monitoring_rule"`},
		"an older server": {watch: requestsAndRules, prepare: func(s *Server) {
			s.Deny(plugin, ReadRules)
			s.Switch(func(sw *Switches) { sw.NoPartialSuccess = true })
		}, refusal: trace.IsAccessDenied, text: `access denied to perform action "read" on "access_monitoring_rule"`},
		"requests refused": {watch: requestsOnly, prepare: func(s *Server) { s.Deny(plugin, ReadRequests) }, refusal: trace.IsAccessDenied, text: `access denied to perform action "read" on "access_request"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{})
			if row.prepare != nil {
				row.prepare(s)
			}
			w := openWatch(t, connect(t, s, plugin), row.watch)
			if row.refusal != nil {
				if err := end(t, w); !row.refusal(err) || err.Error() != row.text {
					t.Errorf("got %v, want %s", err, row.text)
				}
				return
			}
			var got []string
			if status, ok := next(t, w).Resource.(types.WatchStatus); ok {
				for _, kind := range status.GetKinds() {
					got = append(got, kind.Kind)
				}
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestEndOfAWatch(t *testing.T) {
	for name, row := range map[string]struct {
		strike func(*Server)
		want   func(error) bool
	}{
		"by the server":         {func(s *Server) { s.EndWatches(nil) }, func(err error) bool { return errors.Is(err, io.EOF) }},
		"by a connection fault": {func(s *Server) { s.EndWatches(trace.ConnectionProblem(nil, "gone")) }, trace.IsConnectionProblem},
		"by access denied":      {func(s *Server) { s.EndWatches(trace.AccessDenied("no more")) }, trace.IsAccessDenied},
		"by a buffer overflow":  {func(s *Server) { s.EndWatches(errOverflow) }, func(err error) bool { return err.Error() == "rpc error: code = Unknown desc = buffer overflow" }},
		"by a stop":             {func(s *Server) { s.Stop() }, trace.IsConnectionProblem},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{})
			w := live(t, connect(t, s, plugin), requestsOnly)
			row.strike(s)
			if err := end(t, w); !row.want(err) {
				t.Errorf("got %v", err)
			}
			must(t, s.AwaitWatchers(t.Context(), 0))
		})
	}
}

func TestWhatHappenedBeforeTheEndComesBeforeIt(t *testing.T) {
	s := start(t, Options{})
	w := live(t, connect(t, s, plugin), requestsOnly)
	ids := createFive(s)
	s.EndWatches(nil)
	for _, want := range ids {
		if got := next(t, w).Resource.GetName(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	if err := end(t, w); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
}

func TestSilentServerSendsNoInit(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	s.Switch(func(sw *Switches) { sw.NoInit = true })
	silent := openWatch(t, c, requestsOnly)
	must(t, s.AwaitWatchers(t.Context(), 1))
	s.Switch(func(sw *Switches) { sw.NoInit = false })
	w := live(t, c, requestsOnly)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	if got := next(t, w).Resource.GetName(); got != id {
		t.Errorf("got %s, want %s", got, id)
	}
	select { // an event that came on the other watch would have come on this one, too
	case event := <-silent.Events():
		t.Errorf("the silent watch got a %v event", event.Type)
	default:
	}
	s.EndWatches(nil)
	if err := end(t, silent); !errors.Is(err, io.EOF) {
		t.Errorf("end of the silent watch: got %v, want %v", err, io.EOF)
	}
}

func TestPausedProxySwallowsAndResumes(t *testing.T) {
	s := start(t, Options{})
	p, err := s.Proxy()
	must(t, err)
	c := connectTo(t, p.Addr(), client.LoadIdentityFile(identity(t, s, plugin, IdentityOptions{})))
	w := live(t, c, requestsOnly)

	p.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := ping(c)(ctx); err == nil {
		t.Error("a ping comes through a paused proxy")
	}
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	p.Resume()
	if got := next(t, w).Resource.GetName(); got != id {
		t.Errorf("after Resume: got %s, want %s", got, id)
	}

	p.Cut()
	if err := end(t, w); !trace.IsConnectionProblem(err) {
		t.Errorf("after Cut: got %v, want a connection problem", err)
	}
	eventually(t, ping(c))
}

func TestRulesAreListed(t *testing.T) {
	s := start(t, Options{})
	for i := range 3 {
		s.PutRule(rule(fmt.Sprintf("ours-%d", i), Plugin))
	}
	s.PutRule(rule("slack", "slack"))
	rules := connect(t, s, plugin).AccessMonitoringRulesClient()

	var got []string
	for token := ""; ; {
		page, next, err := rules.ListAccessMonitoringRulesWithFilter(brief(t), 2, token, []string{types.KindAccessRequest}, Plugin)
		must(t, err)
		for _, rule := range page {
			got = append(got, rule.GetMetadata().GetName())
		}
		if token = next; token == "" {
			break
		}
	}
	if want := []string{"ours-0", "ours-1", "ours-2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	all, _, err := rules.ListAccessMonitoringRules(brief(t), 0, "")
	must(t, err)
	if len(all) != 4 {
		t.Errorf("got %d rules, want 4", len(all))
	}

	s.Deny(plugin, ReadRules)
	if _, _, err := rules.ListAccessMonitoringRules(brief(t), 0, ""); !trace.IsAccessDenied(err) {
		t.Errorf("got %v, want access denied", err)
	}
	s.Switch(func(sw *Switches) { sw.NoRules = true })
	if _, _, err := rules.ListAccessMonitoringRules(brief(t), 0, ""); !trace.IsNotImplemented(err) {
		t.Errorf("got %v, want not implemented", err)
	}
}
