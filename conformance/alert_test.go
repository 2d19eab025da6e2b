package conformance

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/eventlog"
)

// started starts a program and returns what it prints, line by line, until the test ends.
func started(t testing.TB, env []string, name string, args ...string) (out <-chan string, talk *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := make(chan string, 100)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(all)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			all <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		cmd.Wait()
	})
	return all, bufio.NewScanner(stderr)
}

// await returns the first line that holds what is wanted.
func await(t testing.TB, out <-chan string, want string) string {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-out:
			if !ok {
				t.Fatalf("it ended without %q", want)
			}
			if strings.Contains(line, want) {
				return line
			}
		case <-late:
			t.Fatalf("no %q in %v", want, patience)
		}
	}
}

func intrusion() eventlog.Record {
	return eventlog.NewRecord(time.Now(), eventlog.Intrusion, 0, eventlog.Critical, eventlog.SystemBoard)
}

// snmptrapd reads the trap that a machine sends, as a platform event trap of that machine.
func TestSNMPTrapd(t *testing.T) {
	snmptrapd := tool(t, "snmptrapd", "snmptrapd")
	w := machine(t, lab.Machine{Profile: 11})
	at := w.Address + ":162"
	if conn, err := net.ListenPacket("udp", at); err != nil {
		missing(t, "port 162 cannot be opened: "+err.Error())
	} else {
		conn.Close()
	}
	out, talk := started(t, nil, snmptrapd, "-f", "-Lo", "-n", "-C", "-On", "-m", "", "--disableAuthorization=yes", "-F", "trap %a|%N|%w|%q|%P|%v\n", "udp:"+at)
	_ = talk
	await(t, out, "NET-SNMP version")
	env := []string{"AMT_PASSWORD=" + password, "AMT_COMMUNITY=outband7", "HOME=" + t.TempDir()}
	if r := run(t, env, "", outband(t), "alert", "subscribe", w.Address, "--traps", "--trap-to", w.Address); r.code != 0 {
		t.Fatal(r.err)
	}
	w.Firmware.Log(intrusion())
	line := await(t, out, "trap ")
	id := w.Firmware.Identity().UUID
	// Sensor 5, event type 6F, offset 0: specific trap 356096.
	for _, want := range []string{"trap " + w.Address, ".1.3.6.1.4.1.3183.1.1|6|.356096", "community outband7", ".1.3.6.1.4.1.3183.1.1.1 = Hex-STRING: " + spaced(id[:])} {
		if !strings.Contains(line, want) {
			t.Errorf("snmptrapd reads %q, without %q", line, want)
		}
	}
	if r := run(t, env, "", outband(t), "alert", "remove", w.Address, "--all"); r.code != 0 {
		t.Fatal(r.err)
	}
}

// spaced writes octets as Net-SNMP does.
func spaced(b []byte) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
		out.WriteByte(' ')
	}
	return strings.TrimSpace(out.String())
}

// alert listen reads the trap of another program.
func TestListenToSNMPTrap(t *testing.T) {
	snmptrap := tool(t, "snmptrap", "snmp")
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := conn.LocalAddr().String()
	conn.Close()
	out, talk := started(t, nil, outband(t), "alert", "listen", "--http", "off", "--traps", at, "--count", "1", "--for", "30s", "-o", "json")
	if !talk.Scan() || !strings.Contains(talk.Text(), "listening for SNMP traps on "+at) {
		t.Fatalf("got %q", talk.Text())
	}
	if r := run(t, nil, "", snmptrap, "-v", "1", "-c", "public", "-m", "", at, "1.3.6.1.4.1.3183.1.1", "192.0.2.7", "6", "356096", "12345",
		"1.3.6.1.4.1.3183.1.1.1", "x", "000102030405060708090a0b0c0d0e0f"+"0007"+"00000000"+"ffff"+"5868"+"10ff"+"ff07"+"00"+"0102030000000000"+"ff"+"00000157"+"0000"+"c1"); r.code != 0 {
		t.Fatal(r.err)
	}
	line := await(t, out, "{")
	for _, want := range []string{`"kind":"pet"`, `"severity":"critical"`, `"event":"case opened"`, `"sequence":7`} {
		if !strings.Contains(line, want) {
			t.Errorf("got %s, without %s", line, want)
		}
	}
}

// A receiver of another make gets events as XML that xmllint takes, with the prefix that the local service looks for.
func TestEventIsXML(t *testing.T) {
	xmllint := tool(t, "xmllint", "libxml2-utils")
	got := make(chan []byte, 10)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/events" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/soap+xml") {
			t.Errorf("got %s %s of %s", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
		got <- body
	}))
	defer sink.Close()
	w := machine(t, lab.Machine{Profile: 12})
	env := []string{"AMT_PASSWORD=" + password, "HOME=" + t.TempDir()}
	if r := run(t, env, "", outband(t), "alert", "subscribe", w.Address, "--to", sink.URL+"/events"); r.code != 0 {
		t.Fatal(r.err)
	}
	w.Firmware.Log(intrusion())
	var body []byte
	select {
	case body = <-got:
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	r := run(t, nil, string(body), xmllint, "--nonet", "--xpath", "string(//*[local-name()='Body']/*[local-name()='CIM_AlertIndication']/*[local-name()='MessageID'])", "-")
	if r.code != 0 || strings.TrimSpace(r.out) != "PLAT0004" {
		t.Errorf("xmllint: %s%s\n%s", r.out, r.err, body)
	}
	for _, want := range []string{"<g:MessageID>PLAT0004</g:MessageID>", "<g:MessageArguments>", "<c:AckRequested>", "<h:Datetime>", "<b:Action a:mustUnderstand=\"true\">http://schemas.dmtf.org/wbem/wsman/1/wsman/Event</b:Action>"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

// curl posts an event as a machine does, and alert listen prints and acknowledges it.
func TestListenToCurl(t *testing.T) {
	curl := tool(t, "curl", "curl")
	env := []string{"AMT_RECEIVER_PASSWORD=Sink.ecret1", "HOME=" + t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	out, talk := started(t, env, outband(t), "alert", "listen", "--http", at, "--receiver-user", "sink", "--count", "1", "--for", "30s", "-o", "json")
	if !talk.Scan() || !strings.Contains(talk.Text(), "listening for events on "+at) {
		t.Fatalf("got %q", talk.Text())
	}
	const event = `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:g="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_AlertIndication"
 xmlns:h="http://schemas.dmtf.org/wbem/wscim/1/common"><a:Header><c:AckRequested></c:AckRequested><b:Action a:mustUnderstand="true">http://schemas.dmtf.org/wbem/wsman/1/wsman/Event</b:Action>
<b:MessageID>uuid:00000000-8086-8086-8086-000000000013</b:MessageID><m:Tag xmlns:m="http://example.org">lab</m:Tag></a:Header><a:Body><g:CIM_AlertIndication>
<g:IndicationTime><h:Datetime>2017-01-31T15:40:09.000Z</h:Datetime></g:IndicationTime><g:MessageArguments>0</g:MessageArguments><g:MessageID>iAMT0005</g:MessageID>
<g:PerceivedSeverity>2</g:PerceivedSeverity></g:CIM_AlertIndication></a:Body></a:Envelope>`
	if r := run(t, nil, event, curl, "-s", "-o", "/dev/null", "-w", "%{http_code}", "--digest", "-u", "sink:wrong", "--data-binary", "@-", "http://"+at+"/"); r.out != "401" {
		t.Errorf("with a wrong password: got %s", r.out)
	}
	r := run(t, nil, event, curl, "-s", "--digest", "-u", "sink:Sink.ecret1", "--data-binary", "@-", "http://"+at+"/")
	if !strings.Contains(r.out, "wsman/1/wsman/Ack<") || !strings.Contains(r.out, "<b:RelatesTo>uuid:00000000-8086-8086-8086-000000000013</b:RelatesTo>") {
		t.Errorf("the acknowledgement is %s", r.out)
	}
	line := await(t, out, "{")
	for _, want := range []string{`"event":"agent 0 expired"`, `"time":"2017-01-31T15:40:09Z"`, `"parameters":{"Tag":"lab"}`} {
		if !strings.Contains(line, want) {
			t.Errorf("got %s, without %s", line, want)
		}
	}
}
