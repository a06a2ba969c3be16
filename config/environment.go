package config

import (
	"regexp"
	"slices"
	"strings"
)

// serviceLink matches the variables that Kubernetes sets in every container for a service whose name
// begins with "pdhook". No key looks like one.
// https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
var serviceLink = regexp.MustCompile(`^PDHOOK(_[A-Z0-9_]+)?_` +
	`(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// readEnvironment takes over what the variables say. An empty one counts as not set.
func (d *draft) readEnvironment(environ []string) {
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		variable, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(variable, prefix) || text == "" {
			continue
		}
		if k, ok := keyOfVariable(variable); ok {
			d.takeFromEnvironment(k, text)
		} else if !serviceLink.MatchString(variable) {
			d.add("%s: unknown variable: %s", variable,
				renameOr("remove it", variable, strings.TrimPrefix(variable, prefix), variables()))
		}
	}
}

func (d *draft) takeFromEnvironment(k key, text string) {
	value, ok := k.kind.fromText(text)
	if !ok {
		d.wrong[k.name] = true
		d.add("%s: %w", k.variable, k.kind.mismatch(text, k.kind.want))
		return
	}
	d.settings[k.name] = setting{value, k.variable}
}
