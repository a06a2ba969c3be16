package config

import (
	"reflect"
	"slices"
	"strings"
)

// A key is one setting: a field of a section of Config.
type key struct {
	name     string // as in "policy.max_access"
	variable string // as in "PDHOOK_POLICY_MAX_ACCESS"
	kind     kind
	field    []int // of Config
}

// of gives the key's value in c.
func (k key) of(c *Config) any { return reflect.ValueOf(c).Elem().FieldByIndex(k.field).Interface() }

// keys holds every key in the order of Config.
var keys = keysOf(reflect.TypeFor[Config]())

func keysOf(config reflect.Type) []key {
	var all []key
	for section := range config.Fields() {
		for field := range section.Type.Fields() {
			name := section.Tag.Get("koanf") + "." + field.Tag.Get("koanf")
			all = append(all, key{
				name:     name,
				variable: variableOf(name),
				kind:     kinds[field.Type],
				field:    []int{section.Index[0], field.Index[0]},
			})
		}
	}
	return all
}

// prefix begins the name of every variable that pdhook reads.
const prefix = "PDHOOK_"

func variableOf(name string) string {
	return prefix + strings.ToUpper(strings.Replace(name, ".", "_", 1))
}

// aliases are other names of keys: those of the configuration of Teleport's own PagerDuty plugin.
var aliases = map[string]string{
	"teleport.auth_server":                        "teleport.addr",
	"pagerduty.requestannotations.notify_service": "pagerduty.notify_service",
	"pagerduty.requestannotations.services":       "pagerduty.services",
}

// keyNamed gives the key that a name in the file means. Aliases count in any case, as in the plugin.
func keyNamed(name string) (key, bool) {
	if meant, ok := aliases[strings.ToLower(name)]; ok {
		name = meant
	}
	return find(func(k key) bool { return k.name == name })
}

// keyOfVariable gives the key that a variable sets.
func keyOfVariable(variable string) (key, bool) {
	return find(func(k key) bool { return k.variable == variable })
}

// isTable reports whether a name in the file is that of a table that holds keys.
func isTable(name string) bool {
	_, isSection := find(func(k key) bool { return strings.HasPrefix(k.name, name+".") })
	for alias := range aliases {
		isSection = isSection || strings.HasPrefix(alias, strings.ToLower(name)+".") && strings.Contains(name, ".")
	}
	return isSection
}

func find(is func(key) bool) (key, bool) {
	i := slices.IndexFunc(keys, is)
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}
