package cli

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/outband/outband/console"
)

type pkiAddCmd struct {
	Many
	Root        string   `placeholder:"FILE" help:"Trust the authorities in FILE (PEM or DER)."`
	Certificate string   `placeholder:"FILE" help:"Add the certificates in FILE (PEM or DER): one for a key of the machine, and authorities above it."`
	PrivateKey  string   `placeholder:"FILE" help:"Add the RSA key in FILE (PEM), which nobody can read again."`
	CRL         string   `name:"crl" placeholder:"URL" help:"Add a revocation list of that address, with the serial numbers of --serial."`
	Serial      []string `placeholder:"HEX" help:"Serial number of a certificate that is no longer to be believed; may be repeated."`
}

func (pkiAddCmd) Help() string {
	return "What is there already is left as it is.\n\n" +
		example("outband pki add nuc1 --root ca.pem", "outband pki add nuc1 --certificate nuc1.pem --private-key nuc1.key", "outband pki add nuc1 --crl http://ca.example/crl --serial 1f2e")
}

func (c *pkiAddCmd) Run(a *app) error {
	if c.Root == "" && c.Certificate == "" && c.PrivateKey == "" && c.CRL == "" {
		return usage("outband pki add --help shows what there is", "nothing to add")
	}
	if (c.CRL == "") != (len(c.Serial) == 0) {
		return usage("", "--crl and --serial need each other")
	}
	var roots, certificates []*x509.Certificate
	var err error
	if c.Root != "" {
		if roots, err = readCertificates(c.Root); err != nil {
			return usage("", "--root: %w", err)
		}
	}
	if c.Certificate != "" {
		if certificates, err = readCertificates(c.Certificate); err != nil {
			return usage("", "--certificate: %w", err)
		}
	}
	return pkiEach(a, c.Many, func(ctx context.Context, client *console.Client) ([]pkiRecord, error) {
		var out []pkiRecord
		keep := func(r pkiRecord, added bool) {
			r.Added = &added
			out = append(out, r)
		}
		for _, cert := range roots {
			now, added, err := client.AddRoot(ctx, cert)
			if err != nil {
				return out, err
			}
			keep(certificateRecord(now), added)
		}
		if c.PrivateKey != "" {
			key, err := readRSAKey(c.PrivateKey)
			if err != nil {
				return out, usage("", "--private-key: %w", err)
			}
			now, added, err := client.AddKey(ctx, key)
			if err != nil {
				return out, err
			}
			keep(keyRecord(now), added)
		}
		for _, cert := range certificates {
			now, added, err := client.AddCertificate(ctx, cert)
			if err != nil {
				return out, err
			}
			keep(certificateRecord(now), added)
		}
		if c.CRL != "" {
			list, err := client.AddCRL(ctx, c.CRL, c.Serial)
			if err != nil {
				return out, err
			}
			keep(crlRecord(list), true)
		}
		return out, nil
	})
}

type pkiRemoveCmd struct {
	ID string `arg:"" help:"What to remove, as outband pki list shows it: cert-3, key-1; or crls, for all revocation lists."`
	Many
	Yes bool `short:"y" help:"Do not ask before it is removed from several machines."`
}

func (pkiRemoveCmd) Help() string {
	return "What is in use stays: unbind it first. A key goes after its certificate.\n\n" +
		example("outband pki remove cert-3 nuc1", "outband pki remove crls nuc1")
}

func (c *pkiRemoveCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "remove "+c.ID); err != nil {
		return err
	}
	return pkiEach(a, c.Many, func(ctx context.Context, client *console.Client) ([]pkiRecord, error) {
		var err error
		if c.ID == "crls" {
			err = client.ResetCRLs(ctx)
		} else {
			err = client.RemovePKI(ctx, c.ID)
		}
		if err != nil {
			return nil, err
		}
		return []pkiRecord{{OK: true, ID: c.ID, Removed: true}}, nil
	})
}

type pkiGenerateCmd struct {
	Many
	Bits int `default:"2048" placeholder:"N" help:"Length of the key: 2048, or 3072 on recent releases."`
}

func (pkiGenerateCmd) Help() string {
	return "It takes up to a minute. The private half never leaves the machine.\n\n" + example("outband pki generate nuc1", "outband pki generate nuc1 --bits 3072")
}

func (c *pkiGenerateCmd) Run(a *app) error {
	return pkiEach(a, c.Many, func(ctx context.Context, client *console.Client) ([]pkiRecord, error) {
		key, err := client.GenerateKey(ctx, c.Bits)
		if err != nil {
			return nil, err
		}
		return []pkiRecord{keyRecord(key)}, nil
	})
}

type pkiRequestCmd struct {
	Key  string   `arg:"" help:"Key of the machine, as outband pki list shows it: key-0."`
	Host string   `arg:"" optional:"" help:"Name or address of the machine; default AMT_HOST."`
	CN   string   `name:"cn" placeholder:"NAME" help:"Common name of the subject; default is the machine's address."`
	Name []string `placeholder:"NAME" help:"Another name or address that the certificate is to be for; may be repeated."`
	Hash string   `enum:"sha256,sha384" default:"sha256" help:"Hash to sign with: sha256 or sha384."`
	File string   `short:"f" placeholder:"FILE" help:"Write the request to FILE (PEM) instead of stdout."`
}

func (pkiRequestCmd) Help() string {
	return "Signed by an authority, it becomes a certificate that outband pki add gives to the machine.\n\n" +
		example("outband pki request key-0 nuc1 -f nuc1.csr", "outband pki request key-0 nuc1 --cn nuc1.example.org --name nuc1.example.org")
}

func (c *pkiRequestCmd) Run(a *app) error {
	h, err := a.target(c.Host)
	if err != nil {
		return err
	}
	client, err := a.connect(h)
	if err != nil {
		return err
	}
	defer client.Close()
	der, err := client.RequestCertificate(a.ctx, c.Key, pkix.Name{CommonName: first(c.CN, h.Address)}, append([]string{h.Address}, c.Name...), console.Hash(c.Hash))
	if err != nil {
		bad := judge(pkiHint(err))
		if err := a.printer().failed(pkiRecord{Host: h.Name, Error: problemOf(bad)}, false, nil); err != nil {
			return err
		}
		return bad
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	r := pkiRecord{Host: h.Name, OK: true, Kind: "request", Key: c.Key, Request: text}
	if c.File != "" {
		if err := writeFile(c.File, []byte(text)); err != nil {
			return err
		}
		r.File = c.File
		return a.printer().object(r, "", [2]string{"request", c.File}, [2]string{"signed by", c.Key})
	}
	if a.Output == "table" {
		_, err := fmt.Fprint(a.out, text)
		return err
	}
	return a.printer().record(r)
}

type pkiIssueCmd struct {
	Key  string `arg:"" help:"Key of the machine, as outband pki list shows it: key-0."`
	Host string `arg:"" optional:"" help:"Name or address of the machine; default AMT_HOST."`
	Signer
	CN   string   `name:"cn" placeholder:"NAME" help:"Common name of the subject; default is the machine's address."`
	Name []string `placeholder:"NAME" help:"Another name or address that the certificate is for; may be repeated."`
	File string   `short:"f" placeholder:"FILE" help:"Write the certificate to FILE too (PEM)."`
}

func (pkiIssueCmd) Help() string {
	return "It is for TLS servers and for clients, such as 802.1X. To switch TLS on, outband tls enable does all in one.\n\n" + signerHelp +
		example("outband pki issue key-0 nuc1", "outband pki issue key-0 nuc1 --ca-cert issuing.pem --ca-key issuing.key --days 365 -f nuc1.pem")
}

func (c *pkiIssueCmd) Run(a *app) error {
	h, err := a.target(c.Host)
	if err != nil {
		return err
	}
	authority, _, err := c.authority(a)
	if err != nil {
		return err
	}
	return pkiEach(a, Many{Hosts: []string{first(c.Host, h.Name)}, Fanout: 1}, func(ctx context.Context, client *console.Client) ([]pkiRecord, error) {
		request, err := client.RequestCertificate(ctx, c.Key, pkix.Name{CommonName: first(c.CN, h.Address)}, append([]string{h.Address}, c.Name...), console.SHA256)
		if err != nil {
			return nil, err
		}
		cert, err := authority.SignRequest(request, c.Days)
		if err != nil {
			return nil, err
		}
		now, added, err := client.AddCertificate(ctx, cert)
		if err != nil {
			return nil, err
		}
		r := certificateRecord(now)
		r.Added = &added
		if c.File != "" {
			r.File = c.File
			if err := writeFile(c.File, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})); err != nil {
				return nil, fmt.Errorf("the machine has the certificate, but: %w", err)
			}
		}
		return []pkiRecord{r}, nil
	})
}

// readCertificates reads the certificates of a file.
func readCertificates(file string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	chain, err := parseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return chain, nil
}

// absolute makes two file names such that they mean the same wherever the program is called.
func absolute(a, b string) (string, string, error) {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return a, b, errors.Join(errA, errB)
}

func itoa(n int) string { return strconv.Itoa(n) }
