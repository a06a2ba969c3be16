// Package documents reads the repository's Markdown as its readers see it: headings with their anchors, links, tables,
// code in a line and fenced blocks. Tests hold all of these against the code.
package documents

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// Document is one file.
type Document struct {
	Path    string   // from the root of the repository, with slashes
	Anchors []string // of its headings, as GitHub makes them
	Links   []Place  // targets as written
	Code    []Place  // in lines of text, without the backticks
	Rows    []Row    // of tables, without their heads
	Blocks  []Block
}

// Place is a text with where it stands.
type Place struct {
	Text    string
	Heading string // above it, without code marks
	Where   string // path and line, for messages
}

// Row is one row of a table.
type Row struct {
	Cells   []string
	Heading string
	Where   string
}

// Block is a fenced block. Its text is without the indentation of the fence.
type Block struct {
	Place
	Language string // "" for a plain one
}

// All reads every document for users below root: those at the top, in docs and in deploy.
func All(root string) ([]Document, error) {
	var all []Document
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, fmt.Errorf("looking for documents: %w", err)
		}
		for _, file := range files {
			if all, err = appended(all, root, file); err != nil {
				return nil, err
			}
		}
	}
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(file) == ".md" {
			all, err = appended(all, root, file)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for documents: %w", err)
	}
	return all, nil
}

func appended(all []Document, root, file string) ([]Document, error) {
	name, err := filepath.Rel(root, file)
	if err != nil {
		return nil, fmt.Errorf("naming %s: %w", file, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a document: %w", err)
	}
	return append(all, parse(filepath.ToSlash(name), string(text))), nil
}

// reader is where the reading of a document has come to.
type reader struct {
	doc     Document
	heading string
	where   string
	seen    map[string]int // anchors so far
	fence   *Block         // that is open
	indent  string         // of it
	head    bool           // the table's head has been read
}

func parse(name, text string) Document {
	r := reader{doc: Document{Path: name}, seen: map[string]int{}}
	for i, line := range strings.Split(text, "\n") {
		r.where = fmt.Sprintf("%s:%d", name, i+1)
		r.line(line)
	}
	return r.doc
}

func (r *reader) line(line string) {
	trimmed := strings.TrimLeft(line, " ")
	language, isFence := strings.CutPrefix(trimmed, "```")
	switch {
	case isFence && r.fence == nil:
		r.indent = line[:len(line)-len(trimmed)]
		r.fence = &Block{Place{"", r.heading, r.where}, strings.TrimSpace(language)}
	case isFence:
		r.doc.Blocks = append(r.doc.Blocks, *r.fence)
		r.fence = nil
	case r.fence != nil:
		r.fence.Text += strings.TrimPrefix(line, r.indent) + "\n"
	case strings.HasPrefix(line, "#"):
		r.title(strings.TrimSpace(strings.TrimLeft(line, "#")))
	default:
		r.prose(line)
	}
	if r.fence == nil && !strings.HasPrefix(trimmed, "|") {
		r.head = false
	}
}

var (
	code = regexp.MustCompile("`([^`]+)`")
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	rule = regexp.MustCompile(`^\|[-| :]+\|$`)
)

func (r *reader) title(title string) {
	r.heading = strings.ReplaceAll(title, "`", "")
	a := anchor(link.ReplaceAllString(title, "]"))
	if n := r.seen[a]; n > 0 {
		r.doc.Anchors = append(r.doc.Anchors, fmt.Sprintf("%s-%d", a, n))
	} else {
		r.doc.Anchors = append(r.doc.Anchors, a)
	}
	r.seen[a]++
}

// anchor makes of a heading what GitHub does: letters and digits in lower case, hyphens for spaces.
func anchor(title string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case unicode.IsLetter(c), unicode.IsDigit(c), c == '-', c == '_':
			return unicode.ToLower(c)
		}
		return -1
	}, title)
}

func (r *reader) prose(line string) {
	for _, found := range code.FindAllStringSubmatch(line, -1) {
		r.doc.Code = append(r.doc.Code, Place{found[1], r.heading, r.where})
	}
	for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
		r.doc.Links = append(r.doc.Links, Place{found[1], r.heading, r.where})
	}
	trimmed := strings.TrimSpace(line)
	switch {
	case !strings.HasPrefix(trimmed, "|"):
	case rule.MatchString(trimmed):
		r.head = true
	case r.head:
		r.doc.Rows = append(r.doc.Rows, Row{cells(trimmed), r.heading, r.where})
	}
}

// cells splits a row; a bar that belongs to a cell has a backslash before it.
func cells(row string) []string {
	const bar = "\x00"
	row = strings.ReplaceAll(strings.Trim(row, "|"), `\|`, bar)
	var all []string
	for cell := range strings.SplitSeq(row, "|") {
		all = append(all, strings.ReplaceAll(strings.TrimSpace(cell), bar, "|"))
	}
	return all
}
