package config

import "strings"

// live names the keys, or with a dot at the end the sections, that take effect while pdhook runs. Of files
// named elsewhere, a new content takes effect, a new path does not.
var live = []string{
	"pagerduty.api_key",
	"pagerduty.account",
	"pagerduty.notify_service",
	"pagerduty.services",
	"pagerduty.schedules",
	"pagerduty.user_email_annotation",
	"webhook.secrets",
	"policy.",
	"admin.token",
	"log.",
}

// Restart names the keys that differ between the two configurations and take effect only when pdhook is
// started again, in the order of Config.
func Restart(running, next *Config) []string {
	var names []string
	for _, k := range keys {
		if !isLive(k.name) && !same(k, running, next) {
			names = append(names, k.name)
		}
	}
	return names
}

func isLive(name string) bool {
	for _, l := range live {
		if name == l || strings.HasSuffix(l, ".") && strings.HasPrefix(name, l) {
			return true
		}
	}
	return false
}
