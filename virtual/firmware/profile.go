package firmware

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"

	"github.com/outband/outband/class/model"
)

// A Profile is what sets one firmware release apart from another. [ProfileOf] makes it.
type Profile struct {
	Version string        // "16.1.27"
	Build   string        // "2176"
	Release model.Release // 16.1

	Plain    bool // may be spoken to without TLS: ports 16992, 16994, 623
	Port5900 bool // may show its screen to VNC viewers on port 5900
	Web      bool // has web pages
	SOAP     bool // answers the SOAP of before WS-Management too

	QOP         []string // qop values of digest that it offers
	Optimize    bool     // heeds wsman:OptimizeEnumeration
	PowerStates bool     // lists AvailableRequestedPowerStates

	MinTLS, MaxTLS uint16   // versions as in crypto/tls
	Suites         []uint16 // cipher suites up to TLS 1.2

	Connections int // HTTP connections at a time; further ones wait
	Contexts    int // enumerations open at a time; the oldest makes room
}

// generations are the releases that stand for a generation, with real build numbers where one is known.
var generations = map[int]string{
	8:  "8.1.40.1456",
	11: "11.8.50.3425",
	12: "12.0.67.1579", // recorded
	16: "16.1.27.2176",
	19: "19.0.5.1992",
}

// DefaultGeneration is what the zero Config emulates.
const DefaultGeneration = 16

// ProfileOf returns the profile of a generation (8, 11, 12, 16 or 19) or of any release: "16", "12.0.67.1579".
func ProfileOf(release string) (Profile, error) {
	if n, err := strconv.Atoi(release); err == nil && generations[n] != "" {
		release = generations[n]
	}
	parts := strings.Split(release, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return Profile{}, fmt.Errorf("firmware: %.40q is not a release such as 16.1.27 or a generation such as 16", release)
	}
	for _, p := range parts {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 9999 || len(p) > 4 {
			return Profile{}, fmt.Errorf("firmware: %.40q is not a release such as 16.1.27", release)
		}
	}
	r, _ := model.ParseRelease(release)
	if r.Major < 4 {
		return Profile{}, fmt.Errorf("firmware: release %s is not emulated; 4.0 is the oldest", release)
	}
	if len(parts) == 2 {
		parts = append(parts, "0")
	}
	p := Profile{
		Version:     strings.Join(parts[:3], "."),
		Build:       "1000",
		Release:     r,
		Plain:       true,
		Port5900:    true,
		Web:         true,
		SOAP:        true,
		QOP:         []string{"auth"},
		MinTLS:      tls.VersionTLS10,
		MaxTLS:      tls.VersionTLS10,
		Suites:      rsaSuites,
		Connections: 8,
		Contexts:    4,
	}
	if len(parts) == 4 {
		p.Build = parts[3]
	}
	for _, d := range differences {
		if !p.Before(d.since, d.minor) {
			d.apply(&p)
		}
	}
	return p, nil
}

// Before reports whether the profile is older than a release.
func (p *Profile) Before(major, minor int) bool {
	return p.Release.Compare(model.Release{Major: major, Minor: minor}) < 0
}

// differences are what changed, in order of the release since which it is so.
var differences = []struct {
	since, minor int
	apply        func(*Profile)
}{
	// SOAP gone: soap-eoi.md section 1, wsman.md section 12.
	{9, 0, func(p *Profile) { p.SOAP = false }},
	// AvailableRequestedPowerStates absent on old releases: power-and-boot.md section 1.
	{9, 0, func(p *Profile) { p.PowerStates = true }},
	// TLS 1.1 and 1.2: wsman.md section 12, redirection.md section 1.1.
	{11, 0, func(p *Profile) { p.MinTLS, p.MaxTLS = tls.VersionTLS11, tls.VersionTLS12 }},
	// Optimized enumeration: unknown which releases heed it (wsman.md section 7.5); clients must live with either.
	{11, 0, func(p *Profile) { p.Optimize = true }},
	// qop auth-int, recorded in this form: wsman.md section 3.1.
	{14, 0, func(p *Profile) { p.QOP = []string{"auth-int", "auth"} }},
	// TLS 1.2 at least: redirection.md section 1.1, "recent firmware 1.2 and 1.3".
	{16, 0, func(p *Profile) { p.MinTLS, p.MaxTLS, p.Suites = tls.VersionTLS12, tls.VersionTLS13, recentSuites }},
	// TLS only, no 5900, no web pages: wsman.md section 1, ecosystem conclusion 4, kvm.md section 1.
	{16, 1, func(p *Profile) { p.Plain, p.Port5900, p.Web = false, false, false }},
}

// rsaSuites are what releases up to 15 offer: RSA key exchange with AES. Source: MeshCentral's "RSA+AES", wsman.md
// section 2.
var rsaSuites = []uint16{
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

// recentSuites add ephemeral key exchange. Source: wsman.md section 2.
var recentSuites = append([]uint16{
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
}, rsaSuites...)

// absent are properties that came later than their class: devices of before leave them out. Source: recordings of
// 8.1 to 16.1 compared, wsman.md section 12.
var absent = []struct {
	class, property string
	major, minor    int // first release that has it
}{
	{"AMT_GeneralSettings", "ThunderboltDockEnabled", 12, 0},
	{"AMT_GeneralSettings", "DHCPSyncRequiresHostname", 12, 0},
	{"IPS_KVMRedirectionSettingData", "DoubleBufferEnabled", 15, 0},
	{"IPS_KVMRedirectionSettingData", "DoubleBufferActive", 15, 0},
	{"AMT_BootCapabilities", "ForceUEFIHTTPSBoot", 15, 0},
	{"AMT_BootCapabilities", "ForceWinREBoot", 15, 0},
	{"AMT_BootCapabilities", "AMTSecureBootControl", 15, 0},
	{"AMT_BootCapabilities", "UEFIWiFiCoExistenceAndProfileShare", 16, 0},
	{"AMT_BootCapabilities", "PlatformErase", 16, 0},
	{"AMT_BootSettingData", "BIOSLastStatus", 15, 0},
	{"AMT_BootSettingData", "PlatformErase", 16, 0},
	{"AMT_BootSettingData", "RPEEnabled", 16, 0},
	{"AMT_BootSettingData", "UEFIHTTPSBootEnabled", 15, 0},
	{"AMT_BootSettingData", "UEFILocalPBABootEnabled", 15, 0},
	{"AMT_BootSettingData", "WinREBootEnabled", 15, 0},
	{"AMT_BootSettingData", "UefiBootNumberOfParams", 15, 0},
	{"AMT_BootSettingData", "UefiBootParametersArray", 15, 0},
	{"AMT_BootSettingData", "EnforceSecureBoot", 15, 0},
}

// later are properties that the recorded example of a class is too old to have, with their values from a recording of 16.
// Source: spec kvm.md sections 4, 6 and 9.1.
var later = []struct {
	class, property, value string
	major, minor           int // first release that has it
}{
	{classKVM, "DoubleBufferEnabled", "true", 15, 0},
	{classKVM, "DoubleBufferActive", "false", 15, 0},
	{classKVM, "ZlibControlSupported", "true", 15, 0},
	{classKVM, "InitialDecimationModeForLowRes", "2", 15, 0},
	{classKVM, "GrayscalePixelFormatSupported", "true", 16, 0},
}

// ServerHeader returns the Server header: four numbers from 11.0 on, three before. Source: spec wsman.md sections 4, 12.
func (p *Profile) ServerHeader() string {
	version := p.Version
	if !p.Before(11, 0) {
		version += "." + p.Build
	}
	return "Intel(R) Active Management Technology " + version
}
