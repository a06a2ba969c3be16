package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"sync"
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
	latest    sharedPage        // the overview
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
	body, err := p.latest.get(func() ([]byte, error) { return p.write(p.everything(context.WithoutCancel(r.Context()))) })
	if err != nil {
		fail(w, err)
		return
	}
	send(w, r, http.StatusOK, body)
}

// everything is what the overview shows.
func (p *page) everything(ctx context.Context) frame {
	list, err := p.cfg.Board.Requests(ctx, true)
	var deliveries []Delivery
	if err == nil {
		deliveries, err = p.cfg.Board.Deliveries(ctx, shownDeliveries)
	}
	status := p.cfg.Status()
	v := newOverview(list, deliveries, status, p.now())
	v.Problems = problems(status, p.cfg.Ready())
	if err != nil { // the rest of the page helps all the more
		v.Title, v.Headline, v.Unread = "Cannot be read", "What waits cannot be told", true
		v.Problems = append([]Problem{{"The requests cannot be read", oneLine(err.Error())}}, v.Problems...)
	}
	return frame{Title: v.Title, Overview: v}
}

// sharedPage is a page as it is shown to all who ask for it.
type sharedPage struct {
	mu    sync.Mutex
	until time.Time
	body  []byte
	err   error
}

// get gives the page, made anew unless that would take more than a quarter of the time: hundreds of tabs that ask every
// few seconds while thousands of requests wait must not keep pdhook from its work.
func (s *sharedPage) get(makeNew func() ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	if began.Before(s.until) {
		return s.body, s.err
	}
	s.body, s.err = makeNew()
	s.until = time.Now().Add(3 * time.Since(began))
	return s.body, s.err
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

// render answers with a page.
func (p *page) render(w http.ResponseWriter, r *http.Request, status int, f frame) {
	body, err := p.write(f)
	if err != nil {
		fail(w, err)
		return
	}
	send(w, r, status, body)
}

func (p *page) write(f frame) ([]byte, error) {
	f.Version = p.version
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, "frame.html", f); err != nil {
		return nil, fmt.Errorf("rendering the page: %w", err)
	}
	return b.Bytes(), nil
}

// send answers with the page, or with 304 to who has it already.
func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	protect(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status == http.StatusOK {
		sum := sha256.Sum256(body)
		etag := `"` + hex.EncodeToString(sum[:16]) + `"`
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the reader went away: nobody is left to tell
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
