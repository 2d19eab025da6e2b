package wsman

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"
)

// recordedReply reads a recorded HTTP answer.
func recordedReply(t testing.TB, name string) reply {
	t.Helper()
	br := bufio.NewReader(bytes.NewReader(testdata(t, name)))
	rep, err := readReply(br, new(buffer), "POST", MaxDocument)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rep
}

// What machines wrote, read and written again, must be the same octets: prefixes, order and escapes included.
func TestRecordedAnswersRoundTrip(t *testing.T) {
	for _, name := range []string{
		"get.http", "fault.http",
		"enumerate-chip.xml", "pull-chip.xml", "pull-softwareidentity.xml", "pull-policyappliestomps.xml", "create.xml",
	} {
		t.Run(name, func(t *testing.T) {
			doc := testdata(t, name)
			if strings.HasSuffix(name, ".http") {
				doc = recordedReply(t, name).body
			}
			resp, err := ParseResponse(doc)
			if err != nil {
				t.Fatal(err)
			}
			got, want := string(resp.Append(nil)), string(doc)
			if name == "pull-chip.xml" || name == "enumerate-chip.xml" || name == "pull-softwareidentity.xml" {
				// Declared on every answer of this class, used or not: there is no rule to follow.
				want = strings.Replace(want, ` xmlns:i="`+NSCommon+`"`, "", 1)
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestRecordedHTTP(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		keep   bool
		length int
	}{
		{"get.http", 200, true, 0x220 + 0x2fa + 0x2fa + 0x3c},
		{"fault.http", 400, false, 0x4cc},
		{"unauthorized.http", 401, false, 434},
		{"badrequest.http", 400, false, 400},
	} {
		rep := recordedReply(t, tt.name)
		if rep.status != tt.status || rep.keep != tt.keep || len(rep.body) != tt.length {
			t.Errorf("%s: status %d, keep %v, %d octets; want %d, %v, %d", tt.name,
				rep.status, rep.keep, len(rep.body), tt.status, tt.keep, tt.length)
		}
		if got, want := rep.get("server"), "Intel(R) Active Management Technology 15.0.23.1706"; got != want {
			t.Errorf("%s: server %q", tt.name, got)
		}
	}
}

func TestRecordedFault(t *testing.T) {
	resp, err := ParseResponse(recordedReply(t, "fault.http").body)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(resp.Fault, ErrAlreadyExists) || errors.Is(resp.Fault, ErrAccessDenied) {
		t.Errorf("got %v", resp.Fault)
	}
	if got, want := resp.Fault.Error(), "the machine answers with fault AlreadyExists: The sender attempted to create a resource which already exists"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if resp.RelatesTo != "31" || resp.MessageID != MessageID(0x23eef) || resp.Action != resp.Fault.Action() {
		t.Errorf("got %+v", resp)
	}
}

func TestRecordedInstances(t *testing.T) {
	resp, err := ParseResponse(testdata(t, "pull-policyappliestomps.xml"))
	if err != nil {
		t.Fatal(err)
	}
	ref := resp.Body.Find("Items", "AMT_RemoteAccessPolicyAppliesToMPS", "PolicySet")
	epr, err := ParseEPR(ref)
	if err != nil {
		t.Fatal(err)
	}
	if epr.Class() != "AMT_RemoteAccessPolicyRule" || epr.Selectors.Value("PolicyRuleName") != "Periodic" {
		t.Errorf("got %v", epr)
	}

	resp, err = ParseResponse(testdata(t, "create.xml"))
	if err != nil {
		t.Fatal(err)
	}
	epr, err = ParseEPR(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	cert := Ref("AMT_PublicKeyCertificate", "InstanceID", "testCertificate")
	if got := epr.Selectors.Get("ElementInContext"); epr.Class() != "AMT_TLSCredentialContext" || got == nil || got.EPR == nil || !got.EPR.Same(cert) {
		t.Errorf("got %v", epr)
	}

	resp, err = ParseResponse(testdata(t, "pull-softwareidentity.xml"))
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for item := range resp.Body.Child("Items").All("CIM_SoftwareIdentity") {
		versions[item.ChildText("InstanceID")] = item.ChildText("VersionString")
	}
	if len(versions) != 11 || versions["AMT"] != "12.0.67" {
		t.Errorf("got %v", versions)
	}
}
