// Package chart_test renders the Helm chart with Helm itself and judges the objects with Kubernetes' own types and
// rules. It is a module of its own, so that pdhook's does not depend on Helm.
package chart_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
