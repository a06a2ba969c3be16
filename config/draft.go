package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/knadh/koanf/v2"
)

// Load reads the file at path, lets the variables of environ ("NAME=value", as os.Environ gives them) win
// over it, and checks the result. Without a path only the environment counts. Secrets are read and every
// file named must be there, but for those of webhook.secrets. The error is an Errors with all mistakes.
func Load(path string, environ []string) (*Config, error) {
	e := Examine(path, environ)
	if err := e.Mistakes.orNil(); err != nil {
		return nil, err
	}
	return e.Config, nil
}

// Examined is a configuration with its mistakes.
type Examined struct {
	Config   *Config // defaults stand where a value is mistaken; nil when the file cannot be read at all
	Mistakes Errors  // all that Load would refuse

	wrong map[string]bool
}

// Sound reports whether no known key of the section ("teleport") has a mistake.
func (e Examined) Sound(section string) bool {
	for name := range e.wrong {
		if strings.HasPrefix(name, section+".") {
			return false
		}
	}
	return e.Config != nil
}

// Examine is Load for those who look at what is right, too.
func Examine(path string, environ []string) Examined {
	d := newDraft(path)
	readable := d.readFile()
	d.readEnvironment(environ)
	if !readable {
		return Examined{Mistakes: d.problems}
	}
	if path == "" && len(d.settings) == 0 && len(d.problems) == 0 {
		return Examined{Mistakes: Errors{errNothing}}
	}
	cfg, err := d.config()
	if err != nil {
		return Examined{Mistakes: Errors{err}}
	}
	(&checker{d, cfg}).check()
	return Examined{Config: cfg, Mistakes: d.problems, wrong: d.wrong}
}

// errNothing stands for the list of all that is required: who sees it has not begun, or forgot --config.
var errNothing = errors.New(`nothing is configured: there is neither a file (/etc/pdhook.toml, or --config) nor a variable PDHOOK_…; ` +
	`"pdhook configure > /etc/pdhook.toml" writes an example to fill in`)

// AdminOf gives the section [admin] of a configuration that may have mistakes elsewhere: what Load would give, or the
// defaults where that cannot be told. With an error the file could not be read, and only variables and defaults count.
func AdminOf(path string, environ []string) (Admin, error) {
	d := newDraft(path)
	var unread error
	if !d.readFile() {
		unread = d.problems[0]
	}
	d.readEnvironment(environ)
	cfg, err := d.config()
	if err != nil {
		cfg = defaults()
	}
	return cfg.Admin, unread
}

// A draft is a configuration while it is read: values of the right type, each with its source, and all
// mistakes so far.
type draft struct {
	file     string             // "" when there is none
	settings map[string]setting // by the name of the key
	wrong    map[string]bool    // keys with a mistake; nothing more is said about them
	problems Errors
}

// A setting is a value with the place that it comes from, as errors name it.
type setting struct {
	value  any
	source string
}

func newDraft(file string) *draft {
	return &draft{file: file, settings: map[string]setting{}, wrong: map[string]bool{}}
}

// add notes a mistake that concerns no known key.
func (d *draft) add(format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf(format, args...))
}

// reject notes a mistake in a key's value. Only the first one of a key is kept.
func (d *draft) reject(name, format string, args ...any) {
	if !d.wrong[name] {
		d.wrong[name] = true
		d.add("%s: %w", d.source(name), fmt.Errorf(format, args...))
	}
}

// sound reports whether none of the keys has a mistake so far.
func (d *draft) sound(names ...string) bool {
	for _, name := range names {
		if d.wrong[name] {
			return false
		}
	}
	return true
}

// source names where a key's value comes from or, when it is not set, where it could be set.
func (d *draft) source(name string) string {
	if s, ok := d.settings[name]; ok {
		return s.source
	}
	if d.file != "" {
		return d.file + ": " + name
	}
	return variableOf(name)
}

// config merges the settings into the defaults. They have their final types already, so that nothing is
// left to koanf's own, lenient conversions.
func (d *draft) config() (*Config, error) {
	merged := koanf.New(".")
	for name, setting := range d.settings {
		if err := merged.Set(name, setting.value); err != nil {
			return nil, fmt.Errorf("setting %s: %w", name, err)
		}
	}
	cfg := defaults()
	if err := merged.Unmarshal("", cfg); err != nil {
		return nil, fmt.Errorf("merging the configuration: %w", err)
	}
	cfg.PagerDuty.APIEndpoint = strings.TrimRight(cfg.PagerDuty.APIEndpoint, "/")
	return cfg, nil
}

// same reports whether a key has one value in both configurations.
func same(k key, a, b *Config) bool { return reflect.DeepEqual(k.of(a), k.of(b)) }
