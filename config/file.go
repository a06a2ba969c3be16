package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	decoder "github.com/pelletier/go-toml/v2"
)

// readFile takes over what the file says and reports whether it could be read at all.
func (d *draft) readFile() bool {
	if d.file == "" {
		return true
	}
	content := koanf.New(".")
	if err := content.Load(file.Provider(d.file), parser{toml.Parser()}); err != nil {
		d.problems = append(d.problems, unreadable(d.file, err))
		return false
	}
	d.readTable("", content.Raw())
	return true
}

// A parser takes a file as editors of Windows save it, too: with a byte order mark.
type parser struct{ *toml.TOML }

// Unmarshal parses the content of a file.
func (p parser) Unmarshal(content []byte) (map[string]any, error) {
	return p.TOML.Unmarshal(unmarked(content))
}

func unmarked(content []byte) []byte { return bytes.TrimPrefix(content, []byte("\ufeff")) }

// unreadable says why a file cannot be opened or is no TOML. The parser's own sentence may quote a number,
// which may be (part of) a secret without quotation marks: that part is dropped.
func unreadable(path string, err error) error {
	content, readErr := os.ReadFile(path)
	if readErr != nil {
		return fileError(path, readErr)
	}
	if !utf8.Valid(content) {
		return fmt.Errorf("parsing %s: want text in UTF-8: save it so", path)
	}
	line := firstLineWith(unmarked(content), err)
	if syntax, ok := errors.AsType[*decoder.DecodeError](err); ok {
		line, _ = syntax.Position()
	}
	sentence, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "toml: "), ": strconv.")
	sentence = strings.TrimRight(strings.Join(strings.Fields(sentence), " "), ": ")
	return fmt.Errorf("parsing %s: line %d: %s", path, line, sentence)
}

// firstLineWith finds the line of a mistake for which the parser gives none, such as a key that is there
// twice: the first one at which the file could end with the same mistake.
func firstLineWith(content []byte, mistake error) int {
	line, end := 0, 0
	for part := range bytes.Lines(content) {
		line, end = line+1, end+len(part)
		if err := decoder.Unmarshal(content[:end], &map[string]any{}); err != nil && err.Error() == mistake.Error() {
			break
		}
	}
	return line
}

// readTable takes over the keys of a table, in the order of the alphabet.
func (d *draft) readTable(table string, values map[string]any) {
	for _, part := range slices.Sorted(maps.Keys(values)) {
		name, value := join(table, part), values[part]
		inner, isMap := value.(map[string]any)
		k, isKey := keyNamed(name)
		switch {
		case isKey:
			d.takeFromFile(k, name, value)
		case isTable(name) && !isMap:
			d.add("%s: %s: want a table", d.file, name)
		case isTable(name) || len(inner) > 0:
			d.readTable(name, inner)
		default:
			d.add("%s: unknown key %q: %s", d.file, name, renameOr("remove this line", name, part, keyNames()))
		}
	}
}

// join gives the name of a part of a table. A part that itself holds a dot is no path.
func join(table, part string) string {
	if strings.Contains(part, ".") {
		part = strconv.Quote(part)
	}
	if table == "" {
		return part
	}
	return table + "." + part
}

func (d *draft) takeFromFile(k key, name string, raw any) {
	source := d.file + ": " + name
	value, ok := k.kind.fromTOML(raw)
	if !ok {
		d.wrong[k.name] = true
		d.add("%s: %w", source, k.kind.mismatch(raw, k.kind.want))
		return
	}
	if before, twice := d.settings[k.name]; twice && !reflect.DeepEqual(before.value, value) {
		d.wrong[k.name] = true
		d.add("%s: differs from %s, which means the same: remove one of the two", source, strings.TrimPrefix(before.source, d.file+": "))
	}
	d.settings[k.name] = setting{value, source}
}

// checkFile reports why the content of a file cannot be read. Other than a regular file is refused, since
// opening it might wait, and the content itself is not taken for a path. What does not look like a path may be
// a secret that stands at the wrong key, and is not shown.
func checkFile(path string) error {
	if strings.ContainsAny(path, "\r\n") {
		return errors.New("want the path of a file, not its content")
	}
	name := path
	if !strings.HasPrefix(path, "/") {
		name = "the file that it names"
	}
	info, err := os.Stat(path)
	if err != nil {
		return fileError(name, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("opening %s: not a regular file", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return fileError(name, err)
	}
	return f.Close()
}

// fileError names the file once, whatever the operation was.
func fileError(path string, err error) error {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return fmt.Errorf("opening %s: %w", path, err)
}
