package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

//go:embed page
var pageFiles embed.FS

// policyOfPage lets the page load its own files and nothing else, whatever a request's text holds.
const policyOfPage = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asksForNews is the header with which an open page asks whether anything has changed.
const asksForNews = "Pdhook-News"

// How many deliveries and how many decided requests the page shows.
const (
	shownDeliveries = 20
	shownDecided    = 20
)

// page serves the status page: what waits and why, for people (spec §11). It shows and never acts.
type page struct {
	cfg       Config
	now       func() time.Time
	templates *template.Template
	files     map[string][]byte // style sheet, script and icon by name
	version   string            // of these files: a tab that was opened before an upgrade loads itself anew
}

// newPage reads the files that the binary holds. They are tested: it panics when they do not fit.
func newPage(cfg Config) *page {
	p := &page{cfg: cfg, now: time.Now, files: map[string][]byte{}}
	sum := sha256.New()
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		content, err := fs.ReadFile(pageFiles, "page/"+name)
		if err != nil {
			panic(err)
		}
		p.files[name] = content
		sum.Write(content)
	}
	p.version = hex.EncodeToString(sum.Sum(nil))[:12]
	p.templates = template.Must(template.New("").Funcs(template.FuncMap{"words": words}).ParseFS(pageFiles, "page/*.html"))
	return p
}

// overview shows everything at a glance.
func (p *page) overview(w http.ResponseWriter, r *http.Request) {
	list, err := p.cfg.Board.Requests(r.Context(), true)
	var deliveries []Delivery
	if err == nil {
		deliveries, err = p.cfg.Board.Deliveries(r.Context(), shownDeliveries)
	}
	status := p.cfg.Status()
	v := newOverview(list, deliveries, status, p.now())
	v.Problems = problems(status, p.cfg.Ready())
	if err != nil { // the rest of the page helps all the more
		v.Title, v.Headline, v.Unread = "Cannot be read", "What waits cannot be told", true
		v.Problems = append([]Problem{{"The requests cannot be read", oneLine(err.Error())}}, v.Problems...)
	}
	p.render(w, r, http.StatusOK, frame{Title: v.Title, Overview: v})
}

// request shows one request in full. Its address is what people send each other.
func (p *page) request(w http.ResponseWriter, r *http.Request) {
	id := access.RequestID(r.PathValue("id"))
	found, err := p.cfg.Board.Request(r.Context(), id)
	switch {
	case errors.Is(err, access.ErrNotFound):
		p.render(w, r, http.StatusNotFound, frame{Title: "Unknown request", Missing: access.OneLine(string(id), 100)})
	case err != nil:
		p.render(w, r, http.StatusServiceUnavailable, frame{Title: "Cannot be read", Failed: oneLine(err.Error())})
	default:
		v := newRequest(found, p.now())
		p.render(w, r, http.StatusOK, frame{Title: fmt.Sprintf("%s: %s", v.Pill.Word, v.User), Request: &v})
	}
}

// refuse answers somebody who has not given the token.
func (p *page) refuse(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusUnauthorized, frame{Title: "Token needed", Locked: true})
}

// file serves the style sheet, the script and the icon. Their addresses change with their content.
func (p *page) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, known := p.files[name]
	if !known {
		http.NotFound(w, r)
		return
	}
	protect(w.Header())
	if name == "icon.svg" { // its own style follows the colour scheme
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	}
	w.Header().Set("Cache-Control", "private, max-age=86400")
	w.Header().Set("Content-Type", map[bool]string{
		strings.HasSuffix(name, ".css"): "text/css; charset=utf-8",
		strings.HasSuffix(name, ".js"):  "text/javascript; charset=utf-8",
		strings.HasSuffix(name, ".svg"): "image/svg+xml",
	}[true])
	_, _ = w.Write(content) // the reader went away: nobody is left to tell
}

// frame is what every page has around it, and one of its contents.
type frame struct {
	Title   string
	Version string // of the files

	Overview *Overview
	Request  *RequestView
	Missing  string // ID of a request that is not known
	Failed   string // why the request cannot be read
	Locked   bool   // the token is needed
}

// render answers with the page, or with 304 to who has it already.
func (p *page) render(w http.ResponseWriter, r *http.Request, status int, f frame) {
	f.Version = p.version
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, "frame.html", f); err != nil {
		fail(w, fmt.Errorf("rendering the page: %w", err))
		return
	}
	protect(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status == http.StatusOK {
		sum := sha256.Sum256(b.Bytes())
		etag := `"` + hex.EncodeToString(sum[:16]) + `"`
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader went away: nobody is left to tell
}

// protect sets what a browser needs to know to be on its guard.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policyOfPage)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
