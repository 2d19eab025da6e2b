package console

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
)

// uefiParams are the parameters of a recovery boot.
type uefiParams struct {
	records []byte
	count   uint32
}

// Limits and types of the records. Source: spec power-and-boot.md section 5.
const (
	maxUEFI       = 1024 // octets of all records
	maxBootURL    = 300
	maxDevicePath = 300

	uefiURL          = 1
	uefiPath         = 2
	uefiPathLength   = 3
	uefiSyncRoots    = 20
	uefiTimeout      = 30
	uefiHTTPUser     = 40
	uefiHTTPPassword = 41
)

// add appends one record: vendor, type, length, value, little-endian.
func (p *uefiParams) add(kind uint16, value []byte) {
	p.records = binary.LittleEndian.AppendUint16(p.records, 0x8086)
	p.records = binary.LittleEndian.AppendUint16(p.records, kind)
	p.records = binary.LittleEndian.AppendUint32(p.records, uint32(len(value)))
	p.records = append(p.records, value...)
	p.count++
}

// httpsParams makes the parameters of a boot from a URL.
func (c *Client) httpsParams(ctx context.Context, req BootRequest) (*uefiParams, error) {
	u, err := url.Parse(req.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%w: the image must be at an https URL", ErrUsage)
	case u.User != nil:
		return nil, fmt.Errorf("%w: user and password do not belong into the URL", ErrUsage)
	case len(req.URL) > maxBootURL:
		return nil, fmt.Errorf("%w: a URL of %d octets, at most %d", ErrUsage, len(req.URL), maxBootURL)
	}
	if c.over == nil && c.cfg.Dial == nil {
		if at, err := c.Endpoint(ctx); err != nil {
			return nil, err
		} else if at.Scheme != HTTPS {
			return nil, fmt.Errorf("%w: recovery boot needs TLS to the machine", ErrNotOffered)
		}
	}
	p := &uefiParams{}
	if err := req.Recovery.check(); err != nil {
		return nil, err
	}
	p.add(uefiURL, []byte(req.URL))
	req.Recovery.add(p)
	if req.User != "" {
		p.add(uefiHTTPUser, []byte(req.User))
		p.add(uefiHTTPPassword, []byte(req.Password))
	}
	if len(p.records) > maxUEFI {
		return nil, fmt.Errorf("%w: %d octets of boot parameters, at most %d", ErrUsage, len(p.records), maxUEFI)
	}
	return p, nil
}

// localRecovery finds the source of a recovery that lies on the machine's own disk.
func (c *Client) localRecovery(ctx context.Context, d BootDevice, number int) (id string, params *uefiParams, err error) {
	sources, err := class.All[cim.BootSourceSetting](ctx, c)
	if err != nil {
		return "", nil, err
	}
	for _, s := range sources {
		id := class.Value(s.InstanceID)
		if !strings.Contains(id, "OCR UEFI Boot Option") {
			continue
		}
		windows := strings.Contains(strings.ToLower(class.Value(s.BIOSBootString)), "winre")
		path := class.Value(s.BootString)
		if number > 0 && !strings.HasSuffix(id, fmt.Sprintf(" %d", number)) {
			continue
		}
		if windows != (d == BootWinRE) || path == "" || len(path) > maxDevicePath {
			continue
		}
		p := &uefiParams{}
		p.add(uefiPath, []byte(path))
		p.add(uefiPathLength, binary.LittleEndian.AppendUint16(nil, uint16(len(path))))
		return id, p, nil
	}
	return "", nil, fmt.Errorf("%w: the BIOS has registered no source for %s", ErrNotOffered, d)
}
