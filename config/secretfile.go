package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// SecretFile is the path of a file that webhook.secrets names. It holds a signing secret, or several while one takes
// the place of another: one a line.
type SecretFile string

// Read gives the secrets in the file, at least one. One that does not exist is an fs.ErrNotExist.
func (f SecretFile) Read() ([]Secret, error) {
	path := string(f)
	if err := checkFile(path); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	lines := strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' })
	var secrets []Secret
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name := path
		if len(lines) > 1 {
			name = fmt.Sprintf("line %d of %s", i+1, path)
		}
		secret, err := signingSecret(line, name)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return secrets, nil
}

// Writable gives why Write cannot work; nil when nothing speaks against it. It changes nothing.
func (f SecretFile) Writable() error {
	target, err := f.target()
	if err != nil {
		return err
	}
	tried, err := os.CreateTemp(filepath.Dir(target), ".pdhook-*")
	if err != nil {
		return fmt.Errorf("writing into %s: %w", filepath.Dir(target), cause(err))
	}
	return errors.Join(tried.Close(), os.Remove(tried.Name()))
}

// Write puts the secrets into the file, or removes it when there are none. Whoever reads meanwhile sees all of the old
// file or all of the new one, which is on disk when Write returns nil. A new file has mode 0600; it is given to whom the
// file before it belonged, or else the directory, for root may run this for a service that runs as somebody else.
func (f SecretFile) Write(secrets []Secret) error {
	target, err := f.target()
	if err != nil {
		return err
	}
	dir := filepath.Dir(target)
	if len(secrets) == 0 {
		err = os.Remove(target)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = replace(target, secrets)
	}
	if err == nil {
		err = syncDirectory(dir)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f, cause(err))
	}
	return nil
}

// target is the file itself where the path is a symbolic link, which stays one.
func (f SecretFile) target() (string, error) {
	target, err := filepath.EvalSymlinks(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return string(f), nil
	}
	if err != nil {
		return "", fileError(string(f), err)
	}
	return target, nil
}

func replace(target string, secrets []Secret) (err error) {
	var text strings.Builder
	for _, s := range secrets {
		text.WriteString(s.Reveal() + "\n")
	}
	written, err := os.CreateTemp(filepath.Dir(target), ".pdhook-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(written.Name()))
		}
	}()
	_, err = written.WriteString(text.String())
	if err == nil {
		err = likeBefore(written, target)
	}
	if err == nil {
		err = written.Sync()
	}
	if err = errors.Join(err, written.Close()); err != nil {
		return err
	}
	return os.Rename(written.Name(), target)
}

// likeBefore gives the file to whom target belongs, with the right of its group to read, or else to whom the directory
// belongs. Where that is not allowed, whoever runs this is no administrator, and the file is theirs.
func likeBefore(written *os.File, target string) error {
	before, err := os.Stat(target)
	isNew := errors.Is(err, fs.ErrNotExist)
	if isNew {
		before, err = os.Stat(filepath.Dir(target))
	}
	if err != nil {
		return err
	}
	if owner, ok := before.Sys().(*syscall.Stat_t); ok {
		if err := written.Chown(int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	if isNew {
		return nil
	}
	return written.Chmod(0o600 | before.Mode().Perm()&0o040)
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// cause leaves out the name of a temporary file, which says nothing to anybody.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
