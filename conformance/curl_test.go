package conformance

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/wsman"
)

// curl runs curl with a configuration on its standard input, so that no password is an argument. It prints head and
// body as they come, chunks included.
func curl(t testing.TB, w *world, path, password, body string, options ...string) string {
	t.Helper()
	config := []string{"silent", "show-error", "include", "raw", `noproxy = "*"`, "max-time = 20"}
	url := "http://" + w.Address + ":16992"
	if !w.Firmware.Profile().Plain {
		url = "https://" + w.Address + ":16993"
		config = append(config, "insecure")
	}
	if password != "" {
		config = append(config, "digest", fmt.Sprintf("user = %q", "admin:"+password))
	}
	if body != "" {
		file := filepath.Join(t.TempDir(), "body.xml")
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		config = append(config, fmt.Sprintf("data-binary = %q", "@"+file), `header = "Content-Type: application/soap+xml;charset=UTF-8"`)
	}
	config = append(config, options...)
	config = append(config, fmt.Sprintf("url = %q", url+path))
	got := run(t, nil, strings.Join(config, "\n")+"\n", tool(t, "curl", "curl"), "-q", "--config", "-")
	if got.code != 0 {
		t.Fatalf("curl %s: exit %d, %s", path, got.code, got.err)
	}
	return got.out
}

// heads splits what curl prints into the heads of the answers and the last body.
func heads(t testing.TB, out string) (heads []string, body string) {
	t.Helper()
	for strings.HasPrefix(out, "HTTP/") {
		head, rest, ok := strings.Cut(out, "\r\n\r\n")
		if !ok {
			t.Fatalf("no end of the head in %q", out)
		}
		heads, out = append(heads, head), rest
	}
	if len(heads) == 0 {
		t.Fatalf("no HTTP in %q", out)
	}
	return heads, out
}

// names returns the names of the header lines, in order.
func names(head string) []string {
	var list []string
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		list = append(list, name)
	}
	return list
}

// recorded reads the head of an answer that a machine gave. Source: wire/wsman/testdata/README.md.
func recorded(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "wire", "wsman", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "\r\n\r\n")
	return head
}

// unchunk checks the chunks of a body, 544 octets first and then 762 each, numbers of four digits, and joins them.
func unchunk(t testing.TB, body string) string {
	t.Helper()
	var doc strings.Builder
	for want := 0x220; ; want = 0x2fa {
		line, rest, ok := strings.Cut(body, "\r\n")
		size, err := strconv.ParseInt(line, 16, 32)
		if !ok || err != nil || int(size) > len(rest) {
			t.Fatalf("chunk %q", line)
		}
		if size == 0 {
			if line != "0" || rest != "\r\n" {
				t.Errorf("the body ends with %q, %q", line, rest)
			}
			return doc.String()
		}
		last := strings.HasPrefix(rest[size:], "\r\n0\r\n")
		if last && strings.Contains(body, "Fault>") && doc.Len() == 0 { // as recorded: in one piece
			want = int(size)
		}
		if line != fmt.Sprintf("%04X", size) || !last && int(size) != want || int(size) > want {
			t.Errorf("chunk %q, want %04X", line, want)
		}
		doc.WriteString(rest[:size])
		body = rest[size+2:]
	}
}

const identifyDocument = `<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>` +
	`<i:Identify xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"/></s:Body></s:Envelope>`

func getDocument(class string) string {
	req := wsman.Request{Action: wsman.ActionGet, ResourceURI: wsman.ClassURI(class), MessageID: "7"}
	return string(req.Append(nil))
}

// TestCurl has curl do what every client does, and holds heads and chunks against those that machines sent.
func TestCurl(t *testing.T) {
	for _, generation := range []int{8, 11, 12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			profile := w.Firmware.Profile()
			server := "Server: Intel(R) Active Management Technology " + profile.Version // and the build number since 11.0

			out := curl(t, w, "/wsman", password, identifyDocument)
			list, body := heads(t, out)
			if len(list) != 2 {
				t.Fatalf("%d answers, want a challenge and an answer: %s", len(list), out)
			}
			if !strings.HasPrefix(list[0], "HTTP/1.1 401 Unauthorized\r\n") || !strings.HasPrefix(list[1], "HTTP/1.1 200 OK\r\n") {
				t.Errorf("got %q", list)
			}
			if got, want := names(list[0]), names(recorded(t, "unauthorized.http")); !slices.Equal(got, want) {
				t.Errorf("header of the 401: got %q, recorded %q", got, want)
			}
			if got, want := names(list[1]), names(recorded(t, "get.http")); !slices.Equal(got, want) {
				t.Errorf("header of an answer: got %q, recorded %q", got, want)
			}
			for _, head := range list {
				if !strings.Contains(head, "\r\n"+server) {
					t.Errorf("no %q in %q", server, head)
				}
			}
			doc, err := wsman.Parse([]byte(unchunk(t, body)))
			check(t, err)
			version := doc.Find("Body", "IdentifyResponse", "ProductVersion").TrimText()
			r := profile.Release
			equal(t, "ProductVersion", version, fmt.Sprintf("AMT %d.%d", r.Major, r.Minor))

			// A document of several chunks.
			_, body = heads(t, curl(t, w, "/wsman", password, getDocument("AMT_GeneralSettings")))
			whole := unchunk(t, body)
			if len(whole) < 0x220+0x2fa {
				t.Errorf("only %d octets", len(whole))
			}
			doc, err = wsman.Parse([]byte(whole))
			check(t, err)
			equal(t, "HostName", doc.Find("Body", "AMT_GeneralSettings", "HostName").TrimText(), w.Firmware.Identity().HostName)

			// The challenge: the realm, a nonce, and the page.
			list, body = heads(t, curl(t, w, "/wsman", "wrong", identifyDocument))
			last := list[len(list)-1]
			challenge := regexp.MustCompile(`(?m)^WWW-Authenticate: Digest realm="([^"]+)", nonce="[^"]{16,}",stale="false",qop="[a-z,-]+"\r$`)
			if m := challenge.FindStringSubmatch(last + "\r"); m == nil || m[1] != w.Firmware.Identity().Realm {
				t.Errorf("challenge: %q", last)
			}
			if !strings.HasSuffix(strings.TrimSpace(body), "</html>") || !strings.Contains(body, "Log on failed") {
				t.Errorf("page of the 401: %q", body)
			}

			// A fault.
			list, body = heads(t, curl(t, w, "/wsman", password, getDocument("AMT_NoSuchClass")))
			last = list[len(list)-1]
			if !strings.HasPrefix(last, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(body, "DestinationUnreachable") {
				t.Errorf("fault: %q, %q", last, body)
			}
			if got, want := names(last), names(recorded(t, "fault.http")); !slices.Equal(got, want) {
				t.Errorf("header of a fault: got %q, recorded %q", got, want)
			}

			// The way to the web page.
			list, _ = heads(t, curl(t, w, "/", "", ""))
			if !strings.HasPrefix(list[0], "HTTP/1.1 303 See Other\r\n") || !strings.Contains(list[0], "\r\nLocation: /logon.htm") {
				t.Errorf("GET /: %q", list[0])
			}
			list, body = heads(t, curl(t, w, "/logon.htm", "", ""))
			if web := profile.Web; strings.HasPrefix(list[0], "HTTP/1.1 200 ") != web || strings.Contains(body, "<form") != web {
				t.Errorf("GET /logon.htm, web pages %v: %q, %q", web, list[0], body)
			}
			if profile.Web {
				list, body = heads(t, curl(t, w, "/index.htm", password, ""))
				if !strings.HasPrefix(list[len(list)-1], "HTTP/1.1 200 ") || !strings.Contains(body, w.UUID()) {
					t.Errorf("GET /index.htm: %q, %q", list, body)
				}
			}
		})
	}
}

// TestOpenSSL has openssl shake hands with each machine that has TLS, and read its certificate.
func TestOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl", "openssl")
	for _, tt := range []struct {
		machine lab.Machine
		options []string
		want    string // the version that both agree on
	}{
		{lab.Machine{Profile: 8, TLS: true}, []string{"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, "Protocol  : TLSv1\n"},
		{lab.Machine{Profile: 11, TLS: true}, []string{"-tls1_2", "-cipher", "kRSA+AES:@SECLEVEL=0"}, "Protocol  : TLSv1.2\n"},
		{lab.Machine{Profile: 16}, []string{"-tls1_2"}, "Protocol  : TLSv1.2\n"},
		{lab.Machine{Profile: 16}, nil, "New, TLSv1.3, Cipher is TLS_"},
		{lab.Machine{Profile: 19}, nil, "New, TLSv1.3, Cipher is TLS_"},
	} {
		w := machine(t, tt.machine)
		args := append([]string{"s_client", "-connect", w.Address + ":16993", "-showcerts"}, tt.options...)
		got := run(t, nil, "", openssl, args...)
		text := got.out + got.err
		block, _ := pem.Decode([]byte(text[max(0, strings.Index(text, "-----BEGIN")):]))
		if block == nil {
			t.Errorf("%d: no certificate: exit %d, %s", tt.machine.Profile, got.code, text)
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		check(t, err)
		fingerprint := run(t, nil, string(pem.EncodeToMemory(block)), openssl, "x509", "-noout", "-fingerprint", "-sha256")
		_, digits, _ := strings.Cut(strings.TrimSpace(fingerprint.out), "=")
		equal(t, "fingerprint", strings.ToLower(strings.ReplaceAll(digits, ":", "")), w.fingerprint(t))
		if !strings.Contains(text, tt.want) {
			t.Errorf("%d: no %q in %s", tt.machine.Profile, tt.want, text)
		}
		if cert.PublicKeyAlgorithm != x509.RSA {
			t.Errorf("%d: the key is %v, want RSA", tt.machine.Profile, cert.PublicKeyAlgorithm)
		}
	}
}

// TestXMLLint has libxml2 read one answer of each kind that a machine gives.
func TestXMLLint(t *testing.T) {
	t.Parallel()
	xmllint := tool(t, "xmllint", "libxml2-utils")
	for _, generation := range []int{8, 12, 19} {
		w := machine(t, lab.Machine{Profile: generation, Power: "on"})
		for _, kind := range answerKinds(t, w) {
			_, body := heads(t, lastAnswer(curl(t, w, kind.path, password, kind.document)))
			got := run(t, nil, unchunk(t, body), xmllint, "--noout", "-")
			if got.code != 0 {
				t.Errorf("%d, %s: %s", generation, kind.name, got.err)
			}
		}
	}
}

// lastAnswer cuts off the challenge before an answer.
func lastAnswer(out string) string {
	return out[strings.LastIndex(out, "HTTP/1.1 "):]
}

type answerKind struct{ name, path, document string }

func answerKinds(t testing.TB, w *world) []answerKind {
	t.Helper()
	document := func(req wsman.Request) string {
		req.MessageID = "1"
		return string(req.Append(nil))
	}
	enumerate := wsman.Group(wsman.NSEnumeration, "Enumerate",
		wsman.Element{Name: wsman.Name{Space: wsman.NSWSMan, Local: "OptimizeEnumeration"}}, wsman.El(wsman.NSWSMan, "MaxElements", "99"))
	references := wsman.Group(wsman.NSEnumeration, "Enumerate", wsman.El(wsman.NSWSMan, "EnumerationMode", wsman.ModeEPR),
		wsman.Element{Name: wsman.Name{Space: wsman.NSWSMan, Local: "OptimizeEnumeration"}})
	records := wsman.ClassURI("AMT_MessageLog")
	position := wsman.Group(records, "PositionToFirstRecord_INPUT")
	bad := wsman.Group(records, "PositionToFirstRecord_INPUT", wsman.El(records, "Bad", "1"))
	kinds := []answerKind{
		{"Identify", "/wsman", identifyDocument},
		{"Get", "/wsman", getDocument("AMT_GeneralSettings")},
		{"Get with references", "/wsman", getDocument("CIM_AssociatedPowerManagementService")},
		{"Enumerate", "/wsman", document(wsman.Request{Action: wsman.ActionEnumerate, ResourceURI: wsman.ClassURI("CIM_SoftwareIdentity"), Body: &enumerate})},
		{"Enumerate references", "/wsman", document(wsman.Request{Action: wsman.ActionEnumerate, ResourceURI: wsman.ClassURI("CIM_SoftwareIdentity"), Body: &references})},
		{"Invoke", "/wsman", document(wsman.Request{Action: records + "/PositionToFirstRecord", ResourceURI: records, Body: &position})},
		{"fault: unknown class", "/wsman", getDocument("AMT_NoSuchClass")},
		{"fault: selectors", "/wsman", getDocument("CIM_SoftwareIdentity")},
		{"fault: unknown action", "/wsman", document(wsman.Request{Action: "urn:none", ResourceURI: records})},
		{"fault: schema", "/wsman", document(wsman.Request{Action: records + "/PositionToFirstRecord", ResourceURI: records, Body: &bad})},
		{"fault: not XML", "/wsman", "<a><b></a>"},
	}
	if w.Firmware.Profile().SOAP {
		const soap = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>`
		kinds = append(kinds,
			answerKind{"SOAP", "/SecurityAdministrationService",
				fmt.Sprintf(soap, `<GetCoreVersion xmlns="http://schemas.intel.com/platform/client/SecurityAdministration/2004/01"/>`)},
			answerKind{"SOAP fault", "/SecurityAdministrationService",
				fmt.Sprintf(soap, `<NoSuch xmlns="http://schemas.intel.com/platform/client/SecurityAdministration/2004/01"/>`)})
	}
	return kinds
}
