package firmware_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

func TestKerberos(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	good := func(change func(v *amt.KerberosSettingData)) *amt.KerberosSettingData {
		v, err := class.Get[amt.KerberosSettingData](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		v.KrbEnabled, v.RealmName, v.KeyVersion = new(true), new("EXAMPLE.ORG"), new(uint32(3))
		v.EncryptionAlgorithm, v.MasterKey = new(amt.KerberosSettingDataEncryptionAlgorithmAES256CTSHMACSHA196), bytes.Repeat([]byte{7}, 32)
		v.ServicePrincipalName, v.ServicePrincipalProtocol = []string{"HTTP/desk-7:16992"}, []amt.KerberosSettingDataServicePrincipalProtocol{0}
		change(v)
		return v
	}
	for _, tt := range []struct {
		name   string
		change func(v *amt.KerberosSettingData)
		want   status.Status
	}{
		{"no realm", func(v *amt.KerberosSettingData) { v.RealmName = nil }, status.InvalidParameter},
		{"no name", func(v *amt.KerberosSettingData) { v.ServicePrincipalName, v.ServicePrincipalProtocol = nil, nil }, status.InvalidParameter},
		{"more protocols than names", func(v *amt.KerberosSettingData) {
			v.ServicePrincipalProtocol = []amt.KerberosSettingDataServicePrincipalProtocol{0, 1}
		}, status.InvalidParameter},
		{"no algorithm", func(v *amt.KerberosSettingData) { v.EncryptionAlgorithm = nil }, status.InvalidParameter},
		{"a key of the wrong length", func(v *amt.KerberosSettingData) { v.MasterKey = make([]byte, 16) }, status.InvalidKey},
		{"no key", func(v *amt.KerberosSettingData) { v.MasterKey = nil }, status.InvalidPassphrase},
		{"good", func(*amt.KerberosSettingData) {}, status.Success},
		{"the key of before", func(v *amt.KerberosSettingData) { v.MasterKey = nil; v.RealmName = new("OTHER.ORG") }, status.Success},
	} {
		_, err := class.Put(t.Context(), w, good(tt.change))
		var fault *wsman.Fault
		switch {
		case tt.want == status.Success && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != status.Success && (!errors.As(err, &fault) || !strings.HasSuffix(fault.Detail, fmt.Sprintf("AMT-STATUS %d", uint32(tt.want)))):
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	now, err := class.Get[amt.KerberosSettingData](t.Context(), w)
	if err != nil || class.Value(now.RealmName) != "OTHER.ORG" || len(now.MasterKey) != 0 {
		t.Errorf("got %+v, %v", now, err)
	}

	// Kerberos is offered beside digest, and only digest is taken.
	if got := challenges(t, w); len(got) != 2 || !strings.HasPrefix(got[0], "Digest ") || got[1] != "Negotiate" {
		t.Errorf("offered %q", got)
	}
	set := func(on bool) status.Status {
		_, err := amt.KerberosSettingDataSetCredentialCacheState.Invoke(t.Context(), w, amt.KerberosSettingDataSetCredentialCacheStateIn{Enable: &on})
		return code(t, err)
	}
	cached := func() bool {
		out, err := amt.KerberosSettingDataGetCredentialCacheState.Invoke(t.Context(), w, amt.KerberosSettingDataGetCredentialCacheStateIn{})
		if err != nil {
			t.Fatal(err)
		}
		return class.Value(out.Enabled)
	}
	if cached() || set(true) != 0 || !cached() {
		t.Error("the keeping of tickets cannot be switched on")
	}
	var saved bytes.Buffer
	if err := w.Dump(&saved); err != nil {
		t.Fatal(err)
	}
	state, err := firmware.ReadState(&saved)
	if err != nil {
		t.Fatal(err)
	}
	before := w
	w = newWorld(t, firmware.Config{State: state}, pc.Options{})
	if !cached() {
		t.Error("the keeping of tickets does not outlive a restart")
	}
	if _, err := class.Put(t.Context(), w, good(func(v *amt.KerberosSettingData) { v.MasterKey = nil })); err != nil {
		t.Errorf("the key does not outlive a restart: %v", err)
	}
	w = before
	if _, err := class.Put(t.Context(), w, good(func(v *amt.KerberosSettingData) { v.KrbEnabled = new(false) })); err != nil {
		t.Fatal(err)
	}
	if got := challenges(t, w); len(got) != 1 {
		t.Errorf("off, and offered %q", got)
	}
	if cached() || set(true) != status.InternalError {
		t.Error("tickets are kept of what is off")
	}
}

// challenges returns the WWW-Authenticate values of an answer to a request without credentials.
func challenges(t *testing.T, w *world) (out []string) {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.ServeConn(t.Context(), there, firmware.PortHTTP)
	}()
	defer func() { here.Close(); <-done }()
	if _, err := here.Write([]byte("GET /index.htm HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(text.String(), "\r\n\r\n") {
		n, err := here.Read(b)
		text.Write(b[:n])
		if err != nil {
			break
		}
	}
	for line := range strings.SplitSeq(text.String(), "\r\n") {
		if value, ok := strings.CutPrefix(line, "WWW-Authenticate: "); ok {
			out = append(out, value)
		}
	}
	return out
}
