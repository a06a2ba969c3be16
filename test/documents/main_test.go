package documents

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const root = "../.."

// documents gives all of them.
func documents(t *testing.T) []Document {
	t.Helper()
	all, err := All(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 6 {
		t.Fatalf("found %d documents only", len(all))
	}
	return all
}
