package conformance

import (
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/devmei"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/wsman"
)

var (
	rpcProgram = flag.String("rpc", "", "record testdata/mei anew with this rpc-go")
	setupPFX   = flag.String("setup-pfx", "", "chain that it sets AMT up with, which ends in testdata/mei/setup_root.pem")
)

// setupPassword is what the recorded programs gave to admin.
const setupPassword = "P@ssw0rd1!"

// meiModes are the names that recordings have for control modes.
var meiModes = map[string]firmware.ControlMode{"none": firmware.ModeNone, "client": firmware.ModeClient, "admin": firmware.ModeAdmin}

// What rpc-go said when it set AMT up and took it back is answered as it was when it was content, and the machine is
// then what rpc-go has made of it.
func TestMEIRecordedSetup(t *testing.T) {
	for i, tt := range []struct {
		profile int
		mode    string
	}{{11, "client"}, {11, "admin"}, {16, "client"}, {16, "admin"}} {
		file := fmt.Sprintf("testdata/mei/rpc_%s_%d.txt", map[string]string{"client": "ccm", "admin": "acm"}[tt.mode], tt.profile)
		t.Run(filepath.Base(file), func(t *testing.T) {
			address := fmt.Sprintf("127.62.9.%d", 11+i)
			w := machine(t, lab.Machine{Profile: tt.profile, Address: address, Seed: "recorded", Repeat: true, Unset: true, Power: "on", SetupRoots: "testdata/mei/setup_root.pem"})
			bus, stop := w.Firmware.MEBus()
			defer stop()
			check(t, bus.Ready(t.Context()))
			if *rpcProgram != "" {
				recordSetup(t, w, bus, file, tt.mode)
				return
			}
			text, err := os.ReadFile(file)
			check(t, err)
			replay := meiReplay{bus: bus}
			var modes []string
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSuffix(line, "\n")
				mode, ends := strings.CutPrefix(line, "= ")
				switch {
				case strings.HasPrefix(line, "#"):
				case ends:
					replay.finish(t)
					modes = append(modes, mode)
					equal(t, "control mode", w.Firmware.ControlMode(), meiModes[mode])
					if mode == tt.mode {
						checkAdmin(t, w)
					}
				default:
					replay.do(t, line)
				}
			}
			equal(t, "modes", strings.Join(modes, ", "), tt.mode+", none")
		})
	}
}

// checkAdmin asks with the password that the program has set, as programs on the PC can on all these releases.
func checkAdmin(t *testing.T, w *world) {
	t.Helper()
	c := &wsman.Client{Dial: func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		go w.Firmware.ServeLocalConn(t.Context(), there, firmware.PortHTTP) // until the client closes
		return here, nil
	}, Password: setupPassword}
	defer c.Close()
	_, err := class.Get[amt.GeneralSettings](t.Context(), c)
	check(t, err)
}

// recordSetup has rpc-go set the machine up and take that back, and writes down what was said.
func recordSetup(t *testing.T, w *world, bus mei.Bus, file, mode string) {
	t.Helper()
	pfx, err := os.ReadFile(*setupPFX)
	check(t, err)
	activate := []string{"activate", "--local", "--ccm"}
	if mode == "admin" {
		activate = []string{"activate", "--local", "--acm", "--dns", "lab.example"}
	}
	r := &meiRecorder{bus: bus}
	for _, step := range []struct {
		args []string
		mode string
	}{{activate, mode}, {[]string{"deactivate", "--local"}, "none"}} {
		var talk bytes.Buffer
		p := devmei.Program{Path: *rpcProgram, Args: step.args, Stdout: &talk, Stderr: &talk, Bus: r, Facts: mei.Facts{Kind: "mei"},
			Env: append(os.Environ(), "AMT_PASSWORD="+setupPassword, "PROVISIONING_CERT="+base64.StdEncoding.EncodeToString(pfx), "PROVISIONING_CERT_PASSWORD=P@ssw0rd")}
		code, err := p.Run(t.Context())
		if code != 0 || err != nil {
			t.Fatalf("%v: exit code %d, error %v\n%s", step.args, code, err, &talk)
		}
		equal(t, "control mode", w.Firmware.ControlMode(), meiModes[step.mode])
		if step.mode == mode {
			checkAdmin(t, w) // so that later answers have the same numbers
		}
		r.note("= %s", step.mode)
	}
	rewrite(t, file, "# rpc-go "+strings.Join(activate, " ")+", then deactivate --local.\n", r.lines)
}
