package qemu

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/virtual/firmware"
)

func TestSplitArgs(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
		err  error
	}{
		{"", nil, nil},
		{"  -m 512\t-cdrom\nx.iso ", []string{"-m", "512", "-cdrom", "x.iso"}, nil},
		{`-drive "file=a b.img,format=raw" -name 'it is "x"'`, []string{"-drive", "file=a b.img,format=raw", "-name", `it is "x"`}, nil},
		{`a\ b "c\"d" 'e\f' ''`, []string{"a b", `c"d`, `e\f`, ""}, nil},
		{`-name "x`, nil, ErrArgs},
		{`-name x\`, nil, ErrArgs},
	} {
		if got, err := SplitArgs(tt.line); !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.line, got, err, tt.want, tt.err)
		}
	}
}

func FuzzSplitArgs(f *testing.F) {
	f.Add(`-drive "file=a b.img" 'x' \y`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := SplitArgs(line)
		if err != nil {
			return
		}
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		if again, err := SplitArgs(strings.Join(quoted, " ")); err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, and quoted %q, %v", line, words, again, err)
		}
	})
}

// The log is SeaBIOS 1.16.2's, as QEMU 7.2 writes it on the debug port, shortened.
func TestBIOSLog(t *testing.T) {
	const log = `SeaBIOS (version 1.16.2-debian-1.16.2-1)
BUILD: gcc: (Debian 12.2.0-14) 12.2.0 binutils: (GNU Binutils for Debian) 2.40
Searching bootorder for: /pci@i0cf8/*@1,1/drive@0/disk@0
Press ESC for boot menu.
Select boot device:
enter handle_19:
  NULL
Booting from DVD/CD...
Device reports MEDIUM NOT PRESENT - 0 tries left
Boot failed: Could not read from CDROM (code 0003)
enter handle_18:
  NULL
Booting from ROM...
Booting from ca00:0385
enter handle_18:
  NULL
Booting from Hard Disk...
Booting from 0000:7c00
No bootable device.  Retrying in 60 seconds.
`
	type told struct {
		step   progress
		source firmware.BootSource
	}
	var got []told
	l := &biosLog{}
	readLog(strings.NewReader(log+strings.Repeat("x", 3*maxLogLine)+"\nBooting from Floppy...\n"), func(line string) {
		if step := l.step(line); step != "" {
			got = append(got, told{step, l.source})
		}
	})
	want := []told{
		{biosBegins, firmware.BootDefault}, {biosAsks, firmware.BootDefault}, {biosMenu, firmware.BootDefault}, {biosTries, firmware.BootCD},
		{biosTries, firmware.BootPXE}, {biosStarts, firmware.BootPXE}, {biosTries, firmware.BootDisk}, {biosStarts, firmware.BootDisk},
		{biosNothing, firmware.BootDisk}, {biosTries, firmware.BootDisk},
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		need need
		has  []string
		not  []string
	}{
		{"plain", Options{}, need{}, []string{"-accel tcg ", "path=/a,,b/serial ", "-vnc unix:/a,,b/vnc "}, []string{"sercon", "menu=on"}},
		{"kvm", Options{Accel: "kvm"}, need{}, []string{"-accel kvm "}, []string{"tcg"}},
		{"user's kvm", Options{Args: []string{"-enable-kvm"}}, need{}, []string{"-enable-kvm"}, []string{"-accel"}},
		{"user's accel", Options{Args: []string{"-accel", "hvf"}}, need{}, []string{"-accel hvf"}, []string{"tcg"}},
		{"user's machine", Options{Args: []string{"--machine", "q35,accel=kvm"}}, need{}, []string{"q35"}, []string{"-accel"}},
		{"console", Options{}, need{serial: true}, []string{"name=etc/sercon-port,file=/a,,b/sercon"}, []string{"menu=on"}},
		{"menu", Options{}, need{menu: true}, []string{"-boot menu=on"}, []string{"sercon"}},
	} {
		args := strings.Join(tt.o.arguments("/a,b", tt.need, []string{"-last", "one"}), " ")
		if !strings.HasSuffix(args, " -last one") {
			t.Errorf("%s: additions are not at the end of %s", tt.name, args)
		}
		for _, has := range tt.has {
			if !strings.Contains(args, has) {
				t.Errorf("%s: no %q in %s", tt.name, has, args)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(args, not) {
				t.Errorf("%s: %q in %s", tt.name, not, args)
			}
		}
	}
}

func TestTail(t *testing.T) {
	for _, tt := range []struct{ said, want string }{
		{"", ""},
		{"qemu-system-x86_64: -foo: invalid option\n", "-foo: invalid option"},
		{"first\n/usr/bin/qemu-system-x86_64: Could not open 'x: y'\n\n", "Could not open 'x: y'"},
		{"qemu-system-x86_64: fatal\nqemu-system-x86_64: warning: never mind\n", "fatal"},
		{strings.Repeat("x", 2*maxTail) + "\nlast", "last"},
	} {
		var talk tail
		for _, b := range []byte(tt.said) {
			talk.Write([]byte{b})
		}
		if got := talk.last(); got != tt.want || len(talk.text) > maxTail {
			t.Errorf("%.40q: got %q (%d kept), want %q", tt.said, got, len(talk.text), tt.want)
		}
	}
}
