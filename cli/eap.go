package cli

import (
	"fmt"
	"strings"

	"github.com/outband/outband/console"
)

// EAPFlags are 802.1X settings, of the wired port and of wireless profiles.
type EAPFlags struct {
	EAP             string `name:"eap" placeholder:"PROTOCOL" help:"How to sign in: tls, ttls-mschapv2, peap-mschapv2, peap-gtc, fast-mschapv2, fast-gtc or fast-tls."`
	EAPUser         string `name:"eap-user" placeholder:"NAME" help:"User to sign in as."`
	EAPDomain       string `name:"eap-domain" placeholder:"NAME" help:"Windows domain of the user."`
	EAPIdentity     string `name:"eap-identity" placeholder:"NAME" help:"Name that is shown before the tunnel stands."`
	EAPServer       string `name:"eap-server" placeholder:"NAME" help:"Name that the server's certificate must have; with a dot in front, what it must end in."`
	EAPClientCert   string `name:"eap-client-cert" placeholder:"ID" help:"Certificate to sign in with, by its handle or InstanceID in AMT's store; tls and fast-tls need it."`
	EAPCA           string `name:"eap-ca" placeholder:"ID" help:"Root certificate in AMT's store that vouches for the server."`
	EAPPasswordFile string `name:"eap-password-file" placeholder:"FILE" help:"First line of FILE is the user's password; default is AMT_EAP_PASSWORD, or to ask."`
}

const eapHelp = "The password for 802.1X is asked for, or AMT_EAP_PASSWORD, or the first line of --eap-password-file. Certificates are put into AMT's store first.\n\n"

// settings returns the settings with the password, or nil if there are none.
func (f *EAPFlags) settings(a *app) (*console.EAP, error) {
	if f.EAP == "" {
		if *f != (EAPFlags{}) {
			return nil, usage("such as --eap peap-mschapv2", "--eap is missing, which the other flags of 802.1X belong to")
		}
		return nil, nil
	}
	e := &console.EAP{Protocol: f.EAP, Username: f.EAPUser, Domain: f.EAPDomain, RoamingIdentity: f.EAPIdentity, ServerName: f.EAPServer,
		ClientCertificate: f.EAPClientCert, CACertificate: f.EAPCA}
	if name, suffix := strings.CutPrefix(f.EAPServer, "."); suffix {
		e.ServerName, e.ServerSuffix = name, true
	}
	if f.EAP == "tls" || f.EAP == "fast-tls" {
		return e, nil // by certificate, without password
	}
	var err error
	e.Password, err = secret{file: f.EAPPasswordFile, flag: "--eap-password-file", env: "AMT_EAP_PASSWORD", what: "802.1X password"}.read(a)
	return e, err
}

// A secret is something like a password: never an argument, which others could see.
type secret struct{ file, flag, env, what string }

// read finds a secret in a file, in the environment, or by asking.
func (s secret) read(a *app) (string, error) {
	if s.file != "" {
		text, err := readPasswordFile(s.file)
		if err != nil {
			return "", usage("", "%s: %w", s.flag, err)
		}
		return text, nil
	}
	if text := a.env(s.env); text != "" {
		return text, nil
	}
	text, ok, err := a.askPassword(strings.ToUpper(s.what[:1]) + s.what[1:])
	if err != nil {
		return "", err
	}
	if !ok || text == "" {
		return "", &failure{exitUsage, fmt.Errorf("no %s", s.what), "set " + s.env + " or use " + s.flag}
	}
	return text, nil
}

// eapLines words 802.1X settings for people.
func eapLines(e *console.EAP) [][2]string {
	if e == nil {
		return nil
	}
	server := e.ServerName
	if server != "" && e.ServerSuffix {
		server = "any that ends in " + server
	}
	return [][2]string{{"Protocol", e.Protocol}, {"User", e.Username}, {"Domain", e.Domain}, {"Identity", e.RoamingIdentity}, {"Server", server},
		{"Client certificate", e.ClientCertificate}, {"CA certificate", e.CACertificate}}
}
