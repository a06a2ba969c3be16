package rules

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// request is what the conditions of the tests are asked of.
func request() access.Request {
	return access.Request{
		ID: "r1", User: "alice@example.com", Roles: []string{"db", "dev"}, Reason: "disk full on db-7",
		Created: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC), Expires: time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC),
		Annotations:        map[string][]string{"pagerduty_services": {"payments", "shipping"}, "empty": {}},
		SuggestedReviewers: []string{"bob"},
	}
}

// holds evaluates a condition for that request.
func holds(condition string) (bool, error) {
	c, err := compile(condition)
	if err != nil {
		return false, err
	}
	return c.holds(request())
}

func TestConditionsHold(t *testing.T) {
	for _, condition := range []string{
		`true`,
		`!false`,
		`true || false`,
		`(false || true) && !(true && false)`,
		`true == true && true != false`,

		// As Teleport's documentation writes them.
		`access_request.spec.roles.contains("db")`,
		`contains_any(access_request.spec.roles, set("access", "db"))`,
		`contains_all(set("db", "dev", "ops"), access_request.spec.roles)`,
		`access_request.spec.system_annotations["pagerduty_services"].contains("payments")`,
		"contains_any(access_request.spec.roles, set(\"db\")) &&\n  !access_request.spec.suggested_reviewers.contains(\"carol\")\n",

		`access_request.spec.user == "alice@example.com"`,
		`"alice@example.com" == access_request.spec.user`,
		`access_request.spec.user != "bob@example.com"`,
		"access_request.spec.user == `alice@example.com`",
		`access_request.spec.request_reason == "disk full on db-7"`,
		`access_request.spec.suggested_reviewers == set("bob")`,
		`access_request.spec.roles != set("db")`,
		`access_request.spec.suggested_reviewers.contains_any(set("bob", "carol"))`,
		`access_request.spec.roles.contains_all(set("db", "dev"))`,
		`!access_request.spec.roles.contains_all(set("db", "ops"))`,

		// Nothing is contained in full when nothing is asked for.
		`!contains_all(access_request.spec.roles, set())`,
		`!access_request.spec.roles.contains_all(set())`,
		`!contains_any(access_request.spec.roles, set())`,

		`is_empty(set())`,
		`!is_empty(access_request.spec.roles)`,
		`access_request.spec.system_annotations["nothing"].isempty()`,
		`access_request.spec.system_annotations["empty"].isempty()`,
		`access_request.spec.system_annotations["pagerduty_services"] == set("shipping", "payments")`,

		`set("a", "b", "a") == set("b", "a")`,
		`set("a").add("b", "c") == set("a", "b", "c")`,
		`set("a", "b").remove("b", "x") == set("a")`,
		`union(set("a"), set("b"), set()) == set("a", "b")`,
		`union() == set()`,
		`dict(pair("k", set("a")), pair("l", set()))["k"].contains("a")`,
		`dict()["k"].isempty()`,
		`dict(pair("k", set("a"))).put("k", set("b"))["k"] == set("b")`,
		`dict(pair("k", set("a"))).put("l", set("b")) == dict(pair("l", set("b")), pair("k", set("a")))`,
		`dict(pair("k", set("a"))).add_values("k", "b", "c")["k"] == set("a", "b", "c")`,
		`dict().add_values("k", "b")["k"] == set("b")`,
		`dict(pair("k", set("a"))).remove("k")["k"].isempty()`,
		`access_request.spec.system_annotations.put("pagerduty_services", set()) != access_request.spec.system_annotations`,

		`ifelse(access_request.spec.roles.contains("db"), set("a"), set("b")) == set("a")`,
		`ifelse(false, "a", access_request.spec.user) == "alice@example.com"`,
		`ifelse(false, false, true)`,
		`choose(option(false, set("a")), option(true, set("b")), option(true, set("c"))) == set("b")`,
		`ifelse(true, dict(), dict())["k"].isempty()`,

		`strings.upper("aB") == "AB" && strings.lower("aB") == "ab"`,
		`strings.upper(access_request.spec.roles) == set("DB", "DEV")`,
		`strings.lower(set("A", "b")).contains("a")`,
		`strings.replaceall(access_request.spec.user, "example.com", "x") == "alice@x"`,
		`strings.replaceall(set("a-b-c"), "-", "_").contains("a_b_c")`,
		`strings.replaceall("ab", "", "-") == "-a-b-"`,
		`strings.split("a,b,c", ",") == set("a", "b", "c")`,
		`strings.split(set("a,b", "b,c"), ",") == set("a", "b", "c")`,
		`strings.split(access_request.spec.request_reason, " ").contains("disk")`,
		`email.local(access_request.spec.user) == "alice"`,
		`email.local(set("alice@example.com", "bob@example.com")) == set("alice", "bob")`,
		`regexp.replace(access_request.spec.user, "^(.*)@example.com$", "$1") == "alice"`,
		`regexp.replace(set("env-dev", "env-prod", "other"), "^env-(.*)$", "$1") == set("dev", "prod")`,
		`regexp.replace("none", "x", "y") == ""`,
		`regexp.replace("a.b.c", "[.]", "-") == "a-b-c"`,

		`access_request.spec.creation_time.after(time.RFC3339("2026-03-01T02:59:59Z"))`,
		`access_request.spec.creation_time.before(access_request.spec.expiry)`,
		`between(access_request.spec.creation_time, time.RFC3339("2026-03-01T00:00:00Z"), time.RFC3339("2026-03-02T00:00:00+01:00"))`,
		`!access_request.spec.expiry.between(access_request.spec.creation_time, access_request.spec.expiry)`,
		`before(time.RFC3339("2026-01-01T00:00:00Z"), access_request.spec.expiry)`,
		`!after(access_request.spec.creation_time, access_request.spec.expiry)`,
		`access_request.spec.creation_time == time.RFC3339("2026-03-01T04:00:00+01:00")`,

		// The second part is not looked at when the first one decides.
		`true || email.local("nobody") == "x"`,
		`!(false && email.local("nobody") == "x")`,
		`ifelse(true, "a", email.local("nobody")) == "a"`,
	} {
		if got, err := holds(condition); err != nil || !got {
			t.Errorf("%s: got %v, %v, want true", condition, got, err)
		}
	}
}

func TestConditionsDoNotHold(t *testing.T) {
	for _, condition := range []string{
		`false`,
		`access_request.spec.roles.contains("DB")`,
		`access_request.spec.roles.contains("d")`,
		`contains_all(access_request.spec.roles, set("db", "ops"))`,
		`contains_any(access_request.spec.roles, access_request.spec.suggested_reviewers)`,
		`access_request.spec.roles == set("db")`,
		`access_request.spec.user == "Alice@example.com"`,
		`access_request.spec.expiry.before(access_request.spec.creation_time)`,
	} {
		if got, err := holds(condition); err != nil || got {
			t.Errorf("%s: got %v, %v, want false", condition, got, err)
		}
	}
}

func TestMakingASetOrDictFromAnotherLeavesThatOneAsItWas(t *testing.T) {
	c, err := compile(`access_request.spec.roles.add("x").contains("x") && !access_request.spec.roles.contains("x") &&
		!access_request.spec.system_annotations.put("k", set("v"))["k"].isempty() && access_request.spec.system_annotations["k"].isempty()`)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := c.holds(request()); err != nil || !got {
			t.Errorf("got %v, %v, want true", got, err)
		}
	}
}

func TestConditionsThatMakeNoSenseAreToldSoWithoutARequest(t *testing.T) {
	for condition, want := range map[string]string{
		``:      "empty",
		" \n\t": "empty",
		`access_request.spec.roles.contains("db"`:     "cannot be understood",
		`access_request.spec.roles.contains("db") &&`: "cannot be understood",
		`access_request.spec.roles contains "db"`:     "cannot be understood",
		`not an expression`:                           "cannot be understood",
		`true; true`:                                  "cannot be understood",
		`access_request.spec.roles`:                   "a set where true or false is expected",
		`"true"`:                                      "a string where true or false is expected",
		`1`:                                           "a number where true or false is expected",
		`option(true, "a")`:                           "an option where true or false is expected",
		`access_request.spec.role.contains("db")`:     "does not know access_request.spec.role",
		`plugin.spec.name == "pagerduty"`:             "does not know plugin.spec.name",
		`user.traits["team"].contains("dev")`:         "does not know user.traits",
		`access_request.spec.resource_labels_intersection["env"].contains("dev")`: "does not know access_request.spec.resource_labels_intersection",
		`contains(access_request.spec.roles, "db")`:                               "unsupported function: contains",
		`equals(access_request.spec.user, "alice")`:                               "unsupported function: equals",
		`access_request.spec.roles.matches("d.*")`:                                "cannot be understood",
		`os.exit(1)`: "unsupported function: os.exit",
		`access_request.spec.roles.contains(set("db"))`:       "a set where a string is expected",
		`access_request.spec.user.contains("alice")`:          "a string where a set is expected",
		`access_request.spec.roles["db"].isempty()`:           "a set where a dict is expected",
		`access_request.spec.system_annotations[1].isempty()`: "a number where a string is expected",
		`access_request.spec.roles == "db"`:                   "a string where a set is expected",
		`access_request.spec.user == 1`:                       "a number where a string is expected",
		`access_request.spec.roles.contains()`:                "cannot be understood",
		`access_request.spec.roles.contains("a", "b")`:        "cannot be understood",
		`set("a", 1) == set("a")`:                             "a number where a string is expected",
		`dict("a")["a"].isempty()`:                            "a string where a pair is expected",
		`choose("a") == "a"`:                                  "a string where an option is expected",
		`ifelse(true, "a", set("b")) == "a"`:                  "different kinds",
		`true && "a"`:                                         "a string where true or false is expected",
		`!"a"`:                                                "a string where true or false is expected",
		`1 < 2`:                                               "not supported",
		`"a" + "b" == "ab"`:                                   "not supported",
		`-1 == 1`:                                             "not supported",
		`access_request.spec.creation_time < access_request.spec.expiry`: "not supported",
		`[]string{"a"}`:                       "not supported",
		`func() bool { return true }()`:       "cannot be understood",
		`'a' == "a"`:                          "cannot be understood",
		`regexp.replace("a", "(", "") == "a"`: "no regular expression",
		`regexp.replace("a", "` + strings.Repeat("a", maxPattern+1) + `", "") == "a"`: "pdhook reads",
		`access_request.spec.user == "` + strings.Repeat("a", maxCondition) + `"`:     "pdhook reads",
		strings.Repeat("(", maxCondition):                                             "cannot be understood",
		strings.Repeat("!", maxCondition-4) + "\"a\"":                                 "a string where true or false is expected",
		"\x00":             "cannot be understood",
		"\xff\xfe == true": "cannot be understood",
	} {
		if _, err := compile(condition); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want an error with %q", condition, err, want)
		}
	}
}

func TestConditionsThatFailForARequestSaySoWithoutQuotingIt(t *testing.T) {
	for condition, want := range map[string]string{
		`email.local(access_request.spec.request_reason) == "x"`:                                          "no e-mail address",
		`time.RFC3339(access_request.spec.request_reason).before(access_request.spec.expiry)`:             "no time",
		`regexp.replace("a", strings.replaceall(access_request.spec.request_reason, " ", "("), "") == ""`: "no regular expression",
		`choose(option(false, "a")) == "a"`:                                                               "no option",
		`choose(option(access_request.spec.roles.contains("x"), true))`:                                   "no option",
	} {
		c, err := compile(condition)
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		got, err := c.holds(request())
		if got || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "disk") {
			t.Errorf("%s: got %v, %v, want an error with %q", condition, got, err, want)
		}
	}
}

// nested repeats a function around a start, as deep as a condition may be long.
func nested(start, before, after string) string {
	n := (maxCondition - len(start) - 20) / (len(before) + len(after))
	return strings.Repeat(before, n) + start + strings.Repeat(after, n)
}

func TestConditionsThatTakeTooMuchAreCutShort(t *testing.T) {
	long := request()
	long.Reason = strings.Repeat("a", 4096)
	long.Annotations = map[string][]string{"big": nil}
	for i := range 10_000 {
		long.Annotations["big"] = append(long.Annotations["big"], fmt.Sprint(i))
	}
	for name, condition := range map[string]string{
		"texts that grow":           nested(`access_request.spec.request_reason`, `strings.replaceall(`, `, "", "aaaaaaaaa")`) + ` == ""`,
		"matches that grow":         nested(`access_request.spec.request_reason`, `regexp.replace(`, `, ".*", "$0$0$0$0")`) + ` == ""`,
		"a large expression":        `regexp.replace(access_request.spec.request_reason, "` + strings.Repeat("(x{1000})", 100) + `", "") == ""`,
		"large sets over and over":  nested(`set()`, `union(access_request.spec.system_annotations["big"], `, `)`) + ` == set()`,
		"a loop in every loop":      nested(`"x"`, `ifelse(strings.replaceall(set("a", "b", "c"), "a", `, `).contains("a"), "a", "b")`) + ` == "a"`,
		"a dict that is made again": nested(`dict()`, ``, `.put("k", access_request.spec.system_annotations["big"])`) + `["k"].isempty()`,
	} {
		c, err := compile(condition)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := c.holds(long)
		if got || !errors.Is(err, errCostly) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, errCostly)
		}
	}
}

func TestDeepConditionsAreEvaluated(t *testing.T) {
	for name, condition := range map[string]string{
		"not":         nested("true", "!!", ""),
		"parentheses": nested("true", "(", ")"),
		"and":         nested("true", "true && ", ""),
		"methods":     nested(`set("a")`, "", `.add("a")`) + ".contains(\"a\")",
		"long reason": `regexp.replace(access_request.spec.request_reason, "^.*(disk|memory|cpu) (full|low|hot).*$", "$1") == "disk"`,
	} {
		if got, err := holds(condition); err != nil || !got {
			t.Errorf("%s: got %v, %v, want true", name, got, err)
		}
	}
}

func TestAUsualConditionOverTheLongestReasonStaysWithinTheBudget(t *testing.T) {
	r := request()
	r.Reason = strings.Repeat("x", 4000) + " INC-12345"
	c, err := compile(`regexp.replace(access_request.spec.request_reason, "^.*(INC-[0-9]+).*$", "$1") == "INC-12345" &&
		regexp.replace(strings.split(access_request.spec.request_reason, " "), "^INC-([0-9]+)$", "$1").contains("12345")`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.holds(r); err != nil || !got {
		t.Errorf("got %v, %v, want true", got, err)
	}
}

func FuzzConditions(f *testing.F) {
	for _, seed := range []string{
		`access_request.spec.roles.contains("db")`,
		`contains_all(set("db"), access_request.spec.roles) || !is_empty(access_request.spec.system_annotations["k"].add("x"))`,
		`choose(option(true, strings.split("a,b", ","))).contains(email.local("a@b"))`,
		`regexp.replace(set("a"), "(a*)*", "$1$1") == dict(pair("k", set("a")))["k"]`,
		`access_request.spec.expiry.between(time.RFC3339("2026-03-01T00:00:00Z"), access_request.spec.creation_time)`,
		``, `(`, `1`, `f()()`, `a.b.c.d`, `true.contains("x")`, "`", `"\x"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		got, err := holds(condition)
		if err != nil && got {
			t.Errorf("holds with an error: %v", err)
		}
		again, errAgain := holds(condition)
		if got != again || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Errorf("got %v, %v, then %v, %v", got, err, again, errAgain)
		}
		if err != nil {
			return
		}
		// The laws of logic hold for every condition that gives an answer; one near a limit may give none.
		for form, want := range map[string]bool{
			"(%s\n)": got, "!(%s\n)": !got, "(%s\n) && true": got, "(%s\n) && false": false, "(%s\n) || false": got, "(%s\n) || true": true,
			"false || (%s\n)": got, "true && (%s\n)": got, "(%s\n) == true": got, "(%s\n) != true": !got,
		} {
			composed := fmt.Sprintf(form, condition)
			if holds, err := holds(composed); err == nil && holds != want {
				t.Errorf("%q is %v, but %q is %v", condition, got, composed, holds)
			}
		}
	})
}
