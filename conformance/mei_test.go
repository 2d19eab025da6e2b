package conformance

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/devmei"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// onPC runs a program on the PC of a machine and returns what it prints.
func onPC(t *testing.T, w *world, name string, args ...string) string {
	t.Helper()
	bus, stop := w.Firmware.MEBus()
	defer stop()
	check(t, bus.Ready(t.Context()))
	var out, errs bytes.Buffer
	p := devmei.Program{Path: name, Args: args, Stdout: &out, Stderr: &errs, Bus: bus, Facts: mei.Facts{Kind: "mei"}}
	code, err := p.Run(t.Context())
	if errors.Is(err, devmei.ErrUnsupported) {
		need.Missing(t, err)
	}
	if code != 0 || err != nil {
		t.Fatalf("%s: exit code %d, error %v\n%s", name, code, err, &errs)
	}
	return out.String()
}

// compiled builds the C program.
func compiled(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "version")
	if out, err := exec.Command(tool(t, "gcc", "gcc"), "-Wall", "-Werror", "-o", program, "testdata/mei/version.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return program
}

// A program in C, built with the kernel's own header, finds AMT's versions on a PC that has no management engine.
func TestMEIFromC(t *testing.T) {
	for version, m := range map[string]lab.Machine{"8.": {Profile: 8, Power: "on"}, "12.0.67\n": {Version: "12.0.67.1579", Power: "on"}, "19.": {Profile: 19, Power: "on", Unset: true}} {
		if got := onPC(t, machine(t, m), compiled(t)); !strings.Contains(got, "\nAMT "+version) {
			t.Errorf("got %s, want AMT %s", got, version)
		}
	}
}

// Ten programs share AMTHI, of which firmware has four connections, or one on old releases. No answer is another's.
func TestMEIShared(t *testing.T) {
	for _, m := range []lab.Machine{{Profile: 8, Power: "on"}, {Profile: 16, Power: "on"}} {
		w := machine(t, m)
		got := onPC(t, w, "/bin/sh", "-c", `for i in 1 2 3 4 5 6 7 8 9 10; do "$0" 30 & all="$all $!"; done; for p in $all; do wait $p || exit 1; done`, compiled(t))
		equal(t, "programs that were content", strings.Count(got, "\nAMT "), 10)
	}
}

func TestMEIFromPython(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 16, Power: "on"})
	got := onPC(t, w, tool(t, "python3", "python3"), "testdata/mei/version.py")
	equal(t, "output", got, w.UUID()+"\nmei\n")
}

// What rpc-go asked is answered as it was when rpc-go was content with it.
func TestMEIRecorded(t *testing.T) {
	for _, tt := range []struct {
		file    string
		machine lab.Machine
	}{
		{"rpc_amtinfo_16.txt", lab.Machine{Profile: 16, Address: "127.62.9.7", Seed: "outband virtual 127.62.9.7 0", Unset: true, Power: "on"}},
		{"rpc_amtinfo_cert_11.txt", lab.Machine{Profile: 11, Address: "127.62.9.8", Seed: "outband virtual 127.62.9.8 0", Unset: true, Power: "on"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			w := machine(t, tt.machine)
			bus, stop := w.Firmware.MEBus()
			defer stop()
			check(t, bus.Ready(t.Context()))
			text, err := os.ReadFile(filepath.Join("testdata/mei", tt.file))
			check(t, err)
			n := 0
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "#") {
					continue
				}
				words := strings.Fields(line)
				client := meiClients[words[0]]
				equal(t, "answer to "+words[1], exchange(t, bus, client, words[1]), words[2])
				n++
			}
			if n < 4 {
				t.Errorf("only %d exchanges", n)
			}
		})
	}
}

// exchange sends one message on a connection of its own, as rpc-go does, and returns the answer.
func exchange(t *testing.T, bus mei.Bus, client guid.GUID, request string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := bus.Connect(ctx, client)
	check(t, err)
	defer conn.Close()
	message, err := hex.DecodeString(request)
	check(t, err)
	answer, err := mei.Call(ctx, conn, message)
	check(t, err)
	return hex.EncodeToString(answer)
}
