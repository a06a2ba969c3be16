package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"unicode"
)

// redacted is what every secret looks like to everybody who did not ask with Reveal.
const redacted = "<redacted>"

// Secret is a text that never shows by accident: every formatting verb, log/slog and every encoding that
// goes through text print <redacted>.
type Secret string

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String gives <redacted>.
func (s Secret) String() string { return redacted }

// Format writes <redacted> for every verb.
func (s Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue gives <redacted>.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives <redacted>.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// SecretSource is a configured secret: the secret itself or, when it starts with a slash, the path of the
// file that holds it. Printed it is the path, or <redacted>.
type SecretSource string

// File gives the path of the file that holds the secret, and false when the secret stands in the configuration.
func (s SecretSource) File() (path string, ok bool) {
	return string(s), strings.HasPrefix(string(s), "/")
}

// Read gives the secret as it is now, without surrounding white space. It fails when the secret is not one
// word or its file cannot be read; a file that does not exist is an fs.ErrNotExist.
func (s SecretSource) Read() (Secret, error) {
	path, ok := s.File()
	if !ok {
		return oneWord(string(s), s.name())
	}
	if err := checkFile(path); err != nil {
		return "", err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fileError(path, err)
	}
	return oneWord(string(content), path)
}

// oneWord refuses what nobody meant as a secret: nothing, or a file with more than the secret, such as a
// second line or a byte order mark. It could not be sent in an HTTP header or typed either.
func oneWord(text, name string) (Secret, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }) {
		return "", fmt.Errorf("%s must be one word: there is white space or an invisible character in it", name)
	}
	return Secret(text), nil
}

// String gives the path, or <redacted>.
func (s SecretSource) String() string {
	if path, ok := s.File(); ok {
		return path
	}
	return redacted
}

// Format writes the path, or <redacted>, for every verb.
func (s SecretSource) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, s.String()) }

// LogValue gives the path, or <redacted>.
func (s SecretSource) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText gives the path, or <redacted>.
func (s SecretSource) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// minWebhookSecret is the least length of a signing secret in bytes: shorter ones can be guessed.
const minWebhookSecret = 16

// ReadSecrets gives the signing secrets of each entry of Secrets as they are now: none for one whose file is not there
// yet, which is no error. A file that cannot be read or a secret under 16 bytes is; err is then an Errors.
func (w Webhook) ReadSecrets() (secrets [][]Secret, err error) {
	secrets, problems := w.readSecrets()
	return secrets, problems.orNil()
}

func (w Webhook) readSecrets() (secrets [][]Secret, problems Errors) {
	secrets = make([][]Secret, len(w.Secrets))
	for i, source := range w.Secrets {
		var err error
		secrets[i], err = source.readAll()
		if _, isFile := source.File(); isFile && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("entry %d: %w", i+1, err))
		}
	}
	return secrets, problems
}

// readAll gives the signing secrets of one entry: a file may hold several, one a line.
func (s SecretSource) readAll() ([]Secret, error) {
	if path, isFile := s.File(); isFile {
		return SecretFile(path).Read()
	}
	secret, err := signingSecret(string(s), s.name())
	if err != nil {
		return nil, fmt.Errorf(`%w; the path of a file begins with "/"`, err)
	}
	return []Secret{secret}, nil
}

// signingSecret is oneWord for a secret that anybody on the internet may try to guess.
func signingSecret(text, name string) (Secret, error) {
	secret, err := oneWord(text, name)
	if err == nil && len(secret) < minWebhookSecret {
		err = fmt.Errorf("%s has fewer than %d bytes", name, minWebhookSecret)
	}
	if err != nil {
		return "", err
	}
	return secret, nil
}

// name is how an error calls the secret.
func (s SecretSource) name() string {
	if path, ok := s.File(); ok {
		return path
	}
	return "the value"
}
