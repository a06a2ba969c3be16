package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestAFileOfWebhookSecretsHoldsOneOnEachLine(t *testing.T) {
	path := write(t, "secrets", "\n0123456789abcdef\r\n\n fedcba9876543210")
	w := Webhook{Secrets: []SecretSource{SecretSource(path), "inline-0123456789"}}
	secrets, err := w.ReadSecrets()
	want := [][]Secret{{"0123456789abcdef", "fedcba9876543210"}, {"inline-0123456789"}}
	if err != nil || !reflect.DeepEqual(secrets, want) {
		t.Errorf("got %d entries and error %v, want two secrets and one", len(secrets), err)
	}
}

func TestALineThatIsNoSecretIsNamed(t *testing.T) {
	for content, want := range map[string]string{
		"0123456789abcdef\nshort\n":             "line 2 of %s has fewer than 16 bytes",
		"0123456789abcdef\nfedcba 9876543210\n": "line 2 of %s must be one word: there is white space or an invisible character in it",
		"\n \n":                                 "%s is empty",
	} {
		path := write(t, "secrets", content)
		_, err := SecretFile(path).Read()
		if want := strings.ReplaceAll(want, "%s", path); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestSecretsAreWrittenForTheOwnerAloneAndReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	f := SecretFile(path)
	if err := f.Writable(); err != nil {
		t.Fatal(err)
	}
	want := []Secret{"0123456789abcdef", "fedcba9876543210"}
	if err := f.Write(want); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Read(); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d secrets, %v, want those that were written", len(got), err)
	}
	if mode := modeOf(t, path); mode != 0o600 {
		t.Errorf("got mode %o, want 600", mode)
	}
	if err := f.Write(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no file", err)
	}
	if err := f.Write(nil); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want nothing left over", left, err)
	}
}

func TestASecretFileKeepsItsReadersAndItsLink(t *testing.T) {
	path := write(t, "secret", "0123456789abcdef\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := SecretFile(link).Write([]Secret{"fedcba9876543210"}); err != nil {
		t.Fatal(err)
	}
	if mode := modeOf(t, path); mode != 0o640 {
		t.Errorf("got mode %o, want 640: readable for its group as before, and for nobody else", mode)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is no link any more: %v, %v", info, err)
	}
	if got, err := SecretFile(path).Read(); err != nil || got[0].Reveal() != "fedcba9876543210" {
		t.Errorf("got %v, want the new secret behind the link", err)
	}
}

func TestANewSecretFileBelongsToWhomItsDirectoryBelongs(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() == 0 { // who alone can write for others
		if err := os.Chown(dir, 12345, 54321); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "secret")
	for _, secret := range []Secret{"0123456789abcdef", "fedcba9876543210"} { // new, and replaced
		if err := SecretFile(path).Write([]Secret{secret}); err != nil {
			t.Fatal(err)
		}
		if got, want := ownerOf(t, path), ownerOf(t, dir); got != want {
			t.Errorf("the file belongs to %v, want %v", got, want)
		}
	}
}

func ownerOf(t *testing.T, path string) [2]uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	return [2]uint32{owner.Uid, owner.Gid}
}

func TestADirectoryThatIsNotThereIsNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	f := SecretFile(filepath.Join(dir, "secret"))
	want := "writing into " + dir + ": no such file or directory"
	if err := f.Writable(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := f.Write([]Secret{"0123456789abcdef"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the directory does not exist", err)
	}
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestOnlyOneProcessChangesAFileOfSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	release, err := SecretFile(path).Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SecretFile(path).Lock(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a second lock: got %v, want an error that names the file", err)
	}
	release()
	release, err = SecretFile(path).Lock()
	if err != nil {
		t.Fatalf("after the first was released: %v", err)
	}
	release()
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("%v is left over", left)
	}
	if release, err = SecretFile("/proc/none/secret").Lock(); err != nil {
		t.Errorf("where nothing can be written: %v", err)
	}
	release()
}
