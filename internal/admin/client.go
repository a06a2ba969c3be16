package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// patience is how long a service that is alive may take to answer.
const patience = 3 * time.Second

// Client asks a running pdhook over [admin].
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient makes a client of the service that listens on address: admin.listen, "host:port", or a URL. One that
// listens on every address is asked on this machine's own. token may be "".
func NewClient(address, token string) *Client {
	return &Client{base: baseURL(address), token: token, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

func baseURL(address string) string {
	if strings.Contains(address, "://") {
		return strings.TrimRight(address, "/")
	}
	host, port, err := net.SplitHostPort(address)
	if err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + address
}

// ErrNotRunning says that nobody answers at the address.
var ErrNotRunning = errors.New("no pdhook answers")

// NotReadyError says why webhooks cannot be taken.
type NotReadyError struct{ Reasons []string }

func (e *NotReadyError) Error() string { return "not ready: " + strings.Join(e.Reasons, "; ") }

// Ready gives nil when the service can take webhooks, else a *NotReadyError or why it could not be asked.
func (c *Client) Ready(ctx context.Context) error {
	var body struct {
		Reasons []string `json:"reasons"`
	}
	status, err := c.do(ctx, http.MethodGet, "/readyz", &body)
	switch {
	case status == 0:
		return err
	case status == http.StatusOK:
		return nil
	case len(body.Reasons) == 0:
		body.Reasons = []string{fmt.Sprintf("answered %d %s", status, http.StatusText(status))}
	}
	return &NotReadyError{body.Reasons}
}

// Status gives what /status says.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	_, err := c.do(ctx, http.MethodGet, "/status", &s)
	return s, err
}

// Requests gives what Board.Requests gives there.
func (c *Client) Requests(ctx context.Context, all bool) ([]Request, error) {
	var body struct {
		Requests []Request `json:"requests"`
	}
	_, err := c.do(ctx, http.MethodGet, requestsPath(all), &body)
	return body.Requests, err
}

// RequestsJSON gives what the service answers about them, to the letter.
func (c *Client) RequestsJSON(ctx context.Context, all bool) (json.RawMessage, error) {
	var text json.RawMessage
	_, err := c.do(ctx, http.MethodGet, requestsPath(all), &text)
	return text, err
}

func requestsPath(all bool) string { return "/api/v1/requests?all=" + strconv.FormatBool(all) }

// Request gives one request; access.ErrNotFound when the service does not know it.
func (c *Client) Request(ctx context.Context, id access.RequestID) (Request, error) {
	var r Request
	err := c.request(ctx, id, &r)
	return r, err
}

// RequestJSON gives what the service answers about one request, to the letter; access.ErrNotFound as Request.
func (c *Client) RequestJSON(ctx context.Context, id access.RequestID) (json.RawMessage, error) {
	var text json.RawMessage
	err := c.request(ctx, id, &text)
	return text, err
}

func (c *Client) request(ctx context.Context, id access.RequestID, to any) error {
	status, err := c.do(ctx, http.MethodGet, "/api/v1/requests/"+url.PathEscape(string(id)), to)
	if status == http.StatusNotFound {
		return fmt.Errorf("request %s: %w", id, access.ErrNotFound)
	}
	return err
}

// Deliveries gives the latest webhook events, newest first.
func (c *Client) Deliveries(ctx context.Context, limit int) ([]Delivery, error) {
	var body struct {
		Webhooks []Delivery `json:"webhooks"`
	}
	_, err := c.do(ctx, http.MethodGet, "/api/v1/webhooks?limit="+strconv.Itoa(limit), &body)
	return body.Webhooks, err
}

// Reload makes the service read its configuration, secrets and certificates again. An error says what was refused.
func (c *Client) Reload(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPost, "/api/v1/reload", &struct{}{})
	return err
}

// do asks for path and decodes the answer into to, whatever its status, which is 0 when there was none. Every status
// but 200 is an error too.
func (c *Client) do(ctx context.Context, method, path string, to any) (status int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return 0, fmt.Errorf("asking the running pdhook: %w", err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return 0, fmt.Errorf("%w at %s: %w", ErrNotRunning, c.base, bare(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return response.StatusCode, fmt.Errorf("reading the answer of %s: %w", c.base, err)
	}
	if response.StatusCode != http.StatusOK {
		_ = json.Unmarshal(text, to) // an answer without a known body is told by its status
		return response.StatusCode, c.refusal(response, text)
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(to); err != nil {
		return response.StatusCode, fmt.Errorf("reading the answer of %s, which may be no pdhook: %w", c.base, err)
	}
	return response.StatusCode, nil
}

// bare leaves out of an error the address, which is told already.
func bare(err error) error {
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err
	}
	if of, is := errors.AsType[*net.OpError](err); is {
		err = of.Err
	}
	return err
}

// refusal says what an answer other than 200 means.
func (c *Client) refusal(response *http.Response, text []byte) error {
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(text, &body)
	switch {
	case response.StatusCode == http.StatusUnauthorized && c.token == "":
		return fmt.Errorf("%s asks for a token: give the one of admin.token, as PDHOOK_ADMIN_TOKEN or by the configuration", c.base)
	case response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s asks for another token: give the one of admin.token", c.base)
	case body.Error.Message != "":
		return errors.New(body.Error.Message)
	}
	return fmt.Errorf("%s answered %s", c.base, response.Status)
}
