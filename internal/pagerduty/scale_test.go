package pagerduty

import (
	"container/heap"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// cost is what a request costs on average, in calls by their priority. docs/scale.md says where the figures come from:
// test/e2e measures them with the real binary and logs them.
type cost struct{ reads, creations, writes float64 }

func (c cost) total() float64 { return c.reads + c.creations + c.writes }

var costs = map[string]cost{
	"always":          {0.38, 1.00, 1.85},
	"unless_approved": {0.38, 0.50, 0.81},
}

// simulated is a PagerDuty that grants 960 calls in each minute and answers after 150 ms, pdhook's budget before it, and
// requests that come and want their calls one after the other.
type simulated struct {
	now     time.Time
	budget  *budget
	used    int // in the minute that began at window
	window  time.Time
	due     calendar
	refused int // calls that were answered 429

	approval, incident, note time.Duration // the longest that any request waited for its own
}

// visit is a request that wants its next call.
type visit struct {
	at    time.Time
	order int
	came  time.Time
	left  []Priority
}

const (
	granted     = 960
	answerTakes = 150 * time.Millisecond
)

func newSimulated() *simulated {
	s := &simulated{now: instant("2026-03-01T13:00:00Z")}
	s.window = s.now
	s.budget = newBudget(func() time.Time { return s.now })
	return s
}

// comes adds requests, of which each wants the calls of cost in the order of their priorities. Fractions are spread evenly.
func (s *simulated) comes(c cost, requests int, apart time.Duration) {
	var owed [Background + 1]float64
	for n := range requests {
		came := s.now.Add(time.Duration(n) * apart)
		v := visit{at: came, came: came, order: n}
		for p, share := range [...]float64{c.reads, c.creations, c.writes} {
			for owed[p] += share; owed[p] >= 1; owed[p]-- {
				v.left = append(v.left, Priority(p))
			}
		}
		heap.Push(&s.due, v)
	}
}

// run lets all of them come to their end.
func (s *simulated) run() {
	for s.due.Len() > 0 {
		v := heap.Pop(&s.due).(visit)
		s.now = v.at
		if len(v.left) == 0 {
			continue
		}
		p := v.left[0]
		route := [...]string{"GET /users", "POST /incidents", "POST /incidents/{id}/notes"}[p]
		if err := s.budget.take(route, p); err != nil {
			v.at = access.NotBefore(err)
			heap.Push(&s.due, v)
			continue
		}
		s.answer(route)
		waited := s.now.Sub(v.came)
		switch p {
		case Approval:
			s.approval = max(s.approval, waited)
		case Creation:
			s.incident = max(s.incident, waited)
		case Background:
			s.note = max(s.note, waited)
		}
		v.at, v.left = s.now.Add(answerTakes), v.left[1:]
		heap.Push(&s.due, v)
	}
}

// answer is PagerDuty's, with the headers of its rate limit.
func (s *simulated) answer(route string) {
	for !s.window.Add(time.Minute).After(s.now) {
		s.window, s.used = s.window.Add(time.Minute), 0
	}
	reset := int((s.window.Add(time.Minute).Sub(s.now) + time.Second - 1) / time.Second)
	status := 200
	if s.used == granted {
		status = 429
		s.refused++
	} else {
		s.used++
	}
	s.budget.answered(route, status, rates(granted, granted-s.used, reset))
}

// calendar is visits, the earliest first.
type calendar []visit

func (c calendar) Len() int { return len(c) }
func (c calendar) Less(i, j int) bool {
	return c[i].at.Before(c[j].at) || c[i].at.Equal(c[j].at) && c[i].order < c[j].order
}
func (c calendar) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *calendar) Push(x any)   { *c = append(*c, x.(visit)) }
func (c *calendar) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// spelled writes how long something waited as the page does.
func spelled(d time.Duration) string {
	if d < 2*time.Second {
		return "at once"
	}
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", (d+time.Second-1)/time.Second)
	}
	return fmt.Sprintf("%d min", (d+time.Minute-1)/time.Minute)
}

// row is what the page says of one simulation.
func (s *simulated) row(notify, what string) string {
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", notify, what, spelled(s.approval), spelled(s.incident), spelled(s.note))
}

func TestThePageOnScaleHasTheFiguresOfTheSimulation(t *testing.T) {
	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	check := func(row string) {
		t.Helper()
		t.Log(row)
		if !slices.Contains(strings.Split(string(page), "\n"), row) {
			t.Errorf("docs/scale.md lacks the row\n%s", row)
		}
	}
	for _, notify := range []string{"always", "unless_approved"} {
		c := costs[notify]
		check(fmt.Sprintf("| `%s` | %.2f | %.2f | %.2f | %.2f | %.0f |", notify, c.reads, c.creations, c.writes, c.total(), 0.8*granted/c.total()))
		for _, minute := range []int{60, 200, 300, 400, 500} {
			s := newSimulated()
			s.comes(c, 10*minute, time.Minute/time.Duration(minute))
			s.run()
			if s.refused > 0 {
				t.Errorf("PagerDuty answered 429 %d times", s.refused)
			}
			check(s.row(notify, fmt.Sprintf("%d a minute, ten minutes long", minute)))
		}
		for _, burst := range []int{300, 1000, 3000} {
			s := newSimulated()
			s.comes(c, burst, 0)
			s.run()
			if s.refused > 0 {
				t.Errorf("PagerDuty answered 429 %d times", s.refused)
			}
			check(s.row(notify, fmt.Sprintf("%d at one moment", burst)))
		}
	}
	for _, replicas := range []int{1, 2, 3, 4} {
		row := fmt.Sprintf("| %d |", replicas)
		for _, notify := range []string{"always", "unless_approved"} {
			c, n := costs[notify], float64(replicas)
			row += fmt.Sprintf(" %.0f | %.0f |", 0.8*granted/(n*c.reads+c.creations+c.writes), n*0.8*granted/(n*c.reads+c.creations+c.writes))
		}
		check(row)
	}
}
