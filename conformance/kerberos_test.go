package conformance

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/kerberos"

	"github.com/outband/outband/lab"
)

// TestGoWsmanReadsKerberos has our command let a domain in, and the library read it, with digest as before; its log-in
// goes on while Kerberos is offered beside.
func TestGoWsmanReadsKerberos(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, HostName: "desk-7"})
			key := []byte("0123456789abcdef0123456789abcdef")
			file := filepath.Join(t.TempDir(), "key")
			check(t, os.WriteFile(file, []byte(hex.EncodeToString(key)), 0o600))
			read := func() kerberos.KerberosSettingDataResponse {
				now, err := gowsman(t, w).AMT.KerberosSettingData.Get()
				check(t, err)
				return now.Body.GetResponse
			}
			if v := read(); v.KrbEnabled || !slices.Equal(v.SupportedEncryptionAlgorithms, []kerberos.SupportedEncryptionAlgorithms{0, 1, 2}) {
				t.Errorf("at first the library reads %+v", v)
			}
			ourCommand(t, w, "kerberos", "set", w.Address, "--realm", "EXAMPLE.ORG", "--key-file", file, "--key-version", "7", "--tolerance", "10m", "--cache", "on")
			v := read()
			names := []string{"HTTP/desk-7.lab.example:16992", "HTTPS/desk-7.lab.example:16993", "HTTP/desk-7.lab.example:16994", "HTTPS/desk-7.lab.example:16995"}
			if !v.KrbEnabled || v.RealmName != "EXAMPLE.ORG" || v.KeyVersion != 7 || v.EncryptionAlgorithm != 2 || v.MaximumClockTolerance != 10 ||
				!slices.Equal(v.ServicePrincipalName, names) || !slices.Equal(v.ServicePrincipalProtocol, []kerberos.ServicePrincipalProtocol{0, 1, 2, 3}) || v.Passphrase != "" {
				t.Errorf("the library reads %+v", v)
			}
			cache, err := gowsman(t, w).AMT.KerberosSettingData.GetCredentialCacheState()
			check(t, err)
			if got := cache.Body.GetCredentialCacheState_OUTPUT; !got.Enabled || got.ReturnValue != 0 {
				t.Errorf("cache %+v", got)
			}
			if !strings.Contains(stateOf(t, w), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=") {
				t.Error("the machine has not kept the key")
			}
			ourCommand(t, w, "kerberos", "disable", w.Address)
			if v := read(); v.KrbEnabled || v.RealmName != "EXAMPLE.ORG" {
				t.Errorf("disabled, and the library reads %+v", v)
			}
		})
	}
}
