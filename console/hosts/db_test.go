package hosts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var plainHost = cmpopts.IgnoreUnexported(Host{})

func open(t *testing.T, path string, opt Options) *DB {
	t.Helper()
	db, err := Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func put(t *testing.T, db *DB, list ...Host) {
	t.Helper()
	if err := db.Put(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func withPassword(h Host, password string) Host {
	h.SetPassword(password)
	return h
}

var full = Host{
	Name: "Desk-7", Address: "10.0.0.7", Port: 16993, Scheme: "https", User: "ops", Pin: strings.Repeat("ab", 32),
	CAFile: "/etc/ca.pem", CertFile: "/c.pem", KeyFile: "/k.pem", TLSMin: "1.0", LegacyCiphers: true,
	Tags: []string{"lab", "floor-2"}, Note: "under the\ndesk", UUID: "6a2f1b00-0000-11e0-8000-0123456789ab",
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "dir", "hosts.json")
	db := open(t, path, Options{})
	if got := db.List(); len(got) != 0 {
		t.Fatalf("a file that is not there holds %v", got)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("reading created the folder")
	}
	small := Host{Name: "small", Address: "fe80::1%eth0"}
	put(t, db, withPassword(full, "P@ssw0rd!"), small)

	for name, db := range map[string]*DB{"the same": db, "opened again": open(t, path, Options{})} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]Host{full, small}, db.List(), plainHost); diff != "" {
				t.Errorf("list: -want +got\n%s", diff)
			}
			h, err := db.Get("dEsK-7")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := db.Password(t.Context(), h); got != "P@ssw0rd!" || err != nil {
				t.Errorf("password: got %q, %v", got, err)
			}
			if h, _ = db.Get("small"); h.HasPassword() {
				t.Error("small has a password")
			}
			if _, err := db.Password(t.Context(), h); !errors.Is(err, ErrNoPassword) {
				t.Errorf("password of small: got %v, want ErrNoPassword", err)
			}
		})
	}
	if _, err := db.Get("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get: got %v, want ErrNotFound", err)
	}
	if text := read(t, path); strings.Contains(text, "P@ssw0rd!") {
		t.Error("the password is in the file in clear text")
	}
	for _, name := range []string{path, db.IdentityFile()} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v; want mode 0600", name, info.Mode(), err)
		}
	}
	if info, _ := os.Stat(filepath.Dir(path)); info.Mode().Perm() != 0o700 {
		t.Errorf("folder: got %v, want 0700", info.Mode())
	}
}

func TestNoFieldForgotten(t *testing.T) {
	raw, err := json.Marshal(record{Host: full, Sealed: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range hostFields {
		delete(got, name)
	}
	if len(got) != 0 {
		t.Errorf("not in hostFields: %v", got)
	}
}

func TestPasswordNeverPrinted(t *testing.T) {
	h := withPassword(full, "s3cret-word")
	outer := struct {
		h Host
		p *Host
	}{h, &h}
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		h.String(), string(asJSON), fmt.Sprint(h), fmt.Sprintf("%v %+v %#v %s %q %x", h, h, h, h, h, h),
		fmt.Sprintf("%v %+v %#v", outer, outer, outer), fmt.Sprintf("%+v", []Host{h}),
	} {
		if strings.Contains(got, "s3cret") || strings.Contains(got, fmt.Sprintf("%x", "s3cret")) {
			t.Errorf("shows the password: %s", got)
		}
	}
}

func TestPutKeepsAndReplaces(t *testing.T) {
	ctx := t.Context()
	db := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
	put(t, db, withPassword(Host{Name: "a", Address: "a.lan"}, "one"), Host{Name: "b", Address: "b.lan"})
	h, _ := db.Get("a")
	h.Note = "changed"
	put(t, db, h)
	if h, _ = db.Get("A"); h.Note != "changed" {
		t.Errorf("note: got %q", h.Note)
	}
	if got, err := db.Password(ctx, h); got != "one" || err != nil {
		t.Errorf("the password did not survive a change of the note: %q, %v", got, err)
	}
	h.SetPassword("")
	put(t, db, h)
	if h, _ = db.Get("a"); h.HasPassword() {
		t.Error("the password was not removed")
	}
	bad := Host{Name: "c", Address: ""}
	if err := db.Put(ctx, Host{Name: "d", Address: "d"}, bad); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if err := db.Remove(ctx, "b", "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if got := len(db.List()); got != 2 {
		t.Errorf("%d hosts after changes that failed, want 2", got)
	}
	if err := db.Remove(ctx, "B"); err != nil {
		t.Fatal(err)
	}
	if got := len(open(t, db.Path(), Options{}).List()); got != 1 {
		t.Errorf("%d hosts on disk, want 1", got)
	}
}

func TestListIsACopy(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
	put(t, db, full)
	db.List()[0].Tags[0] = "overwritten"
	if h, _ := db.Get("desk-7"); h.Tags[0] != "lab" {
		t.Errorf("a caller changed the database: %v", h.Tags)
	}
}

func TestSetPin(t *testing.T) {
	ctx := t.Context()
	db := open(t, filepath.Join(t.TempDir(), "hosts.json"), Options{})
	put(t, db, Host{Name: "a", Address: "a"})
	first := strings.TrimSuffix(strings.Repeat("AB:", 32), ":")
	for _, step := range []struct {
		pin  string
		want error
		kept string
	}{
		{first, nil, strings.Repeat("ab", 32)},
		{"sha256:" + strings.Repeat("ab", 32), nil, strings.Repeat("ab", 32)},
		{strings.Repeat("cd", 32), ErrPinned, strings.Repeat("ab", 32)},
		{"", nil, ""},
		{strings.Repeat("cd", 32), nil, strings.Repeat("cd", 32)},
	} {
		if err := db.SetPin(ctx, "A", step.pin); !errors.Is(err, step.want) {
			t.Errorf("pin %s: got %v, want %v", step.pin, err, step.want)
		}
		if h, _ := db.Get("a"); h.Pin != step.kept {
			t.Errorf("pin %s: kept %s, want %s", step.pin, h.Pin, step.kept)
		}
	}
	if err := db.SetPin(ctx, "a", "nonsense"); err == nil {
		t.Error("nonsense was pinned")
	}
	if err := db.SetPin(ctx, "nobody", first); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.json")
	const newer = `{"version": 7, "colours": {"a": [1, 2.50]}, "hosts": [
		{"name": "a", "address": "a.lan", "kvm": {"scale": 1.10}},
		{"name": "b", "address": "b.lan", "Note": "by hand", "x": null}]}`
	if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, Options{})
	put(t, db, Host{Name: "a", Address: "a2.lan"}, Host{Name: "c", Address: "c"})
	var got, want any
	if err := json.Unmarshal([]byte(read(t, path)), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"version": 7, "colours": {"a": [1, 2.50]}, "hosts": [
		{"name": "a", "address": "a2.lan", "kvm": {"scale": 1.10}},
		{"name": "b", "address": "b.lan", "note": "by hand", "x": null},
		{"name": "c", "address": "c"}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if !strings.Contains(read(t, path), "2.50") {
		t.Error("a number of an unknown field was rewritten")
	}
}

func TestDamagedFileIsLeftAlone(t *testing.T) {
	for name, tt := range map[string]struct{ content, says string }{
		"empty":          {"", "it is empty"},
		"cut":            {"{\"version\": 1,\n \"hosts\": [{\"name\": ", "line 2"},
		"not ours":       {`{"name": "something else"}`, "version"},
		"wrong type":     {"{\"version\": 1, \"hosts\":\n {}}", "line 2"},
		"no address":     {`{"version": 1, "hosts": [{"name": "a"}]}`, "host 1"},
		"twice":          {`{"version": 1, "hosts": [{"name": "a", "address": "a"}, {"name": "A", "address": "b"}]}`, "second"},
		"binary":         {"\x00\x01\x02", "line 1"},
		"password alone": {`{"version": 1, "hosts": [{"name": "a", "address": "a", "password_age": "QUJD"}]}`, "identity"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts.json")
			if err := os.WriteFile(path, []byte(`{"version": 1, "hosts": []}`), 0o600); err != nil {
				t.Fatal(err)
			}
			db := open(t, path, Options{})
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, openErr := Open(path, Options{})
			for _, err := range []error{openErr, db.Put(t.Context(), full), db.Remove(t.Context(), "a"), db.ForgetPasswords(t.Context())} {
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v; want ErrDamaged with the path and %q", err, tt.says)
				}
			}
			if got := read(t, path); got != tt.content {
				t.Errorf("the file was overwritten: %q", got)
			}
		})
	}
}

func TestNotARegularFile(t *testing.T) {
	db := open(t, os.DevNull, Options{IdentityFile: filepath.Join(t.TempDir(), "id")})
	if got := db.List(); len(got) != 0 {
		t.Errorf("%s holds %v", os.DevNull, got)
	}
	dir := t.TempDir()
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("a folder was opened as a hosts file")
	}
}

func TestSymlinkStays(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.json"), filepath.Join(dir, "hosts.json")
	if err := os.WriteFile(real, []byte(`{"version": 1, "hosts": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	put(t, open(t, link, Options{}), full)
	if info, _ := os.Lstat(link); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if got := len(open(t, real, Options{}).List()); got != 1 {
		t.Errorf("the file behind the link holds %d hosts, want 1", got)
	}
}

// fullDisk is a file system with room for some bytes and faults on demand.
type fullDisk struct {
	realDisk
	room              int
	syncErr, closeErr error
	renameErr         error
}

type fullFile struct {
	tempFile
	disk *fullDisk
}

func (d *fullDisk) CreateTemp(dir, pattern string) (tempFile, error) {
	f, err := d.realDisk.CreateTemp(dir, pattern)
	return fullFile{f, d}, err
}

func (d *fullDisk) Rename(from, to string) error {
	if d.renameErr != nil {
		return d.renameErr
	}
	return d.realDisk.Rename(from, to)
}

func (f fullFile) Write(b []byte) (int, error) {
	n, err := f.tempFile.Write(b[:min(len(b), f.disk.room)])
	f.disk.room -= n
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

func (f fullFile) Sync() error {
	if f.disk.syncErr != nil {
		return f.disk.syncErr
	}
	return f.tempFile.Sync()
}

func (f fullFile) Close() error {
	err := f.tempFile.Close()
	if f.disk.closeErr != nil {
		return f.disk.closeErr
	}
	return err
}

func TestFullDiskLosesNothing(t *testing.T) {
	for name, disk := range map[string]*fullDisk{
		"no room at all":      {room: 0},
		"room for a part":     {room: 40},
		"sync fails":          {room: 1 << 20, syncErr: syscall.ENOSPC},
		"close fails":         {room: 1 << 20, closeErr: syscall.ENOSPC},
		"rename fails":        {room: 1 << 20, renameErr: syscall.ENOSPC},
		"room for key only":   {room: 300},
		"room for half a key": {room: 100},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts.json")
			put(t, open(t, path, Options{}), withPassword(full, "old"))
			before, key := read(t, path), read(t, open(t, path, Options{}).IdentityFile())

			db := open(t, path, Options{disk: disk})
			for what, err := range map[string]error{
				"put":   db.Put(t.Context(), withPassword(Host{Name: "more", Address: "more"}, "new")),
				"rekey": db.Rekey(t.Context(), StoreFile),
			} {
				if !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("%s: got %v, want ENOSPC", what, err)
				}
			}
			if got := read(t, path); got != before {
				t.Errorf("the file changed:\n%s", got)
			}
			if got := read(t, db.IdentityFile()); !strings.Contains(got, strings.TrimSpace(key)) {
				t.Error("the identity is gone")
			}
			if _, err := db.Get("more"); !errors.Is(err, ErrNotFound) {
				t.Error("the DB shows a host that was not stored")
			}
			h, _ := db.Get("desk-7")
			if got, err := db.Password(t.Context(), h); got != "old" || err != nil {
				t.Errorf("password: got %q, %v", got, err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*-*")); len(left) != 0 {
				t.Errorf("temporary files left: %v", left)
			}
		})
	}
}

func TestTwoProcessesWriteAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.json")
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for w := range writers {
		db := open(t, path, Options{}) // its own lock file handle, as another process has
		wg.Go(func() {
			for i := range each {
				h := withPassword(Host{Name: fmt.Sprintf("w%d-%d", w, i), Address: "a"}, fmt.Sprintf("p%d%d", w, i))
				if err := db.Put(context.Background(), h); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	db := open(t, path, Options{})
	if got := len(db.List()); got != writers*each {
		t.Errorf("%d hosts, want %d", got, writers*each)
	}
	for _, h := range db.List() {
		want := "p" + strings.ReplaceAll(strings.TrimPrefix(h.Name, "w"), "-", "")
		if got, err := db.Password(t.Context(), h); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", h.Name, got, err, want)
		}
	}
}

func TestLockIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.json")
	synctest.Test(t, func(t *testing.T) {
		unlock, err := lockFile(t.Context(), path+".lock")
		if err != nil {
			t.Fatal(err)
		}
		db := open(t, path, Options{LockWait: time.Minute})
		start := time.Now()
		if err := db.Put(t.Context(), full); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("waited %v, want 1m", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := db.Put(ctx, full); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		time.AfterFunc(time.Second, unlock)
		if err := db.Put(t.Context(), full); err != nil {
			t.Errorf("after the other let go: %v", err)
		}
	})
}

// TestLockOfADeadProcess kills a process that holds the lock. The process is this test binary.
func TestLockOfADeadProcess(t *testing.T) {
	const env = "HOSTS_TEST_HOLD_LOCK"
	if path := os.Getenv(env); path != "" {
		unlock, err := lockFile(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed
		return
	}
	path := filepath.Join(t.TempDir(), "hosts.json")
	holder := exec.Command(os.Args[0], "-test.run=^TestLockOfADeadProcess$")
	holder.Env = append(os.Environ(), env+"="+path+".lock")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := holder.StdinPipe() // open as long as this test runs
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := out.Read(got); err != nil || string(got) != "held" {
		t.Fatalf("the holder says %q, %v", got, err)
	}
	db := open(t, path, Options{LockWait: 50 * time.Millisecond})
	if err := db.Put(t.Context(), full); !errors.Is(err, ErrLocked) {
		t.Errorf("while held: got %v, want ErrLocked", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	if err := db.Put(t.Context(), full); err != nil {
		t.Errorf("after the holder died: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, bad := range []Host{
		{}, {Name: "a"}, {Address: "a"},
		{Name: "a b", Address: "a"}, {Name: "-a", Address: "a"}, {Name: "a,b", Address: "a"}, {Name: "a:1", Address: "a"},
		{Name: "@a", Address: "a"}, {Name: strings.Repeat("a", 254), Address: "a"}, {Name: "a\xff", Address: "a"},
		{Name: "a", Address: "a:1"}, {Name: "a", Address: "[::1]"}, {Name: "a", Address: "http://a"}, {Name: "a", Address: "fe80::1%e 0"},
		{Name: "a", Address: "a", Port: 65536}, {Name: "a", Address: "a", Port: -1}, {Name: "a", Address: "a", Scheme: "HTTPS"},
		{Name: "a", Address: "a", TLSMin: "1.4"}, {Name: "a", Address: "a", Pin: "ab"}, {Name: "a", Address: "a", Pin: strings.Repeat("AB", 32)},
		{Name: "a", Address: "a", UUID: "6A2F1B00-0000-11E0-8000-0123456789AB"}, {Name: "a", Address: "a", Tags: []string{"x y"}},
		{Name: "a", Address: "a", Tags: make([]string, 65)}, {Name: "a", Address: "a", User: "a\nb"}, {Name: "a", Address: "a", Note: strings.Repeat("n", 5000)},
		withPassword(Host{Name: "a", Address: "a"}, strings.Repeat("p", 1025)),
	} {
		if err := bad.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%#v: got %v, want ErrInvalid", bad, err)
		}
	}
	for _, good := range []Host{full, {Name: "a", Address: "::1"}, {Name: "büro.lan", Address: "büro.lan"}} {
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestDefaultPath(t *testing.T) {
	t.Setenv("HOME", "/home/x")
	for xdg, want := range map[string]string{
		"":         "/home/x/.config/outband/hosts.json",
		"/conf":    "/conf/outband/hosts.json",
		"relative": "/home/x/.config/outband/hosts.json",
	} {
		t.Setenv("XDG_CONFIG_HOME", xdg)
		if got, err := DefaultPath(); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", xdg, got, err, want)
		}
	}
}

// A service of systemd has no HOME unless it names a user; fence agents and timers run so.
func TestDefaultPathWithoutHome(t *testing.T) {
	me, err := user.Current()
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("no entry for this user", err)
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	want := filepath.Join(me.HomeDir, ".config", "outband", "hosts.json")
	if got, err := DefaultPath(); got != want || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte(`{"version": 1, "hosts": []}`))
	f.Add([]byte(`{"version": 2, "x": 1, "identity": {"store": "file", "recipient": "age1"}, "hosts": [{"name": "a", "address": "::1", "password_age": "QUJD", "y": [1]}]}`))
	f.Add([]byte(`{"version": 1, "hosts": [{"name": "a", "address": "a", "Name": "b"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		one, err := parseFile(b, true)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("not ErrDamaged: %v", err)
			}
			return
		}
		written, err := one.format()
		if err != nil {
			t.Fatal(err)
		}
		two, err := parseFile(written, true)
		if err != nil {
			t.Fatalf("reads %q, writes %s, and cannot read that: %v", b, written, err)
		}
		again, err := two.format()
		if err != nil || !bytes.Equal(written, again) {
			t.Fatalf("written %s, then %s, %v", written, again, err)
		}
	})
}

// Entries are found after others were removed, replaced and added, in the DB that did it and in one opened anew.
func TestFoundAfterChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.json")
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	host := func(name, note string) Host { return Host{Name: name, Address: "10.0.0.1", Note: note} }
	steps := []struct {
		name string
		do   func() error
		want string // name=note of all, in order
	}{
		{"add", func() error {
			return db.Put(t.Context(), host("a", "1"), host("b", "1"), host("c", "1"), host("d", "1"))
		}, "a=1 b=1 c=1 d=1"},
		{"remove two", func() error { return db.Remove(t.Context(), "A", "c") }, "b=1 d=1"},
		{"replace and add", func() error { return db.Put(t.Context(), host("D", "2"), host("c", "2"), host("C", "3")) }, "b=1 D=2 C=3"},
		{"pin", func() error { return db.SetPin(t.Context(), "c", strings.Repeat("0a", 32)) }, "b=1 D=2 C=3"},
		{"remove one twice", func() error {
			if err := db.Remove(t.Context(), "b", "B"); !errors.Is(err, ErrNotFound) {
				return fmt.Errorf("got %v, want %v", err, ErrNotFound)
			}
			return nil
		}, "b=1 D=2 C=3"},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		again, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for which, db := range map[string]*DB{"the same": db, "opened anew": again} {
			var got []string
			for _, h := range db.List() {
				found, err := db.Get(strings.ToLower(h.Name))
				if err != nil || found.Name != h.Name {
					t.Errorf("%s, %s: %q found as %q, %v", step.name, which, h.Name, found.Name, err)
				}
				got = append(got, h.Name+"="+h.Note)
			}
			if got := strings.Join(got, " "); got != step.want {
				t.Errorf("%s, %s: %s, want %s", step.name, which, got, step.want)
			}
		}
	}
}

// BenchmarkPut changes every entry of a long list.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, err := Open(filepath.Join(b.TempDir(), "hosts.json"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			list := slices.Repeat([]Host{full}, n)
			for i := range list {
				list[i].Name = fmt.Sprint("h", i)
			}
			for b.Loop() {
				if err := db.Put(b.Context(), list...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10, 1000} {
		path := filepath.Join(b.TempDir(), "hosts.json")
		db, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		list := slices.Repeat([]Host{full}, n)
		for i := range list {
			list[i].Name = fmt.Sprint("h", i)
		}
		list[0].SetPassword("x")
		if err := db.Put(context.Background(), list...); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Open(path, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
