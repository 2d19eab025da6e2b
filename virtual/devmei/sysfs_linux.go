//go:build amd64 || arm64

package devmei

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/outband/outband/wire/mei"
)

const (
	sysClass = "/sys/class/mei"
	// The number of the device, of those that are for dynamic use. Source: Documentation/admin-guide/devices.txt.
	deviceMajor, deviceMinor = 242, 0
)

// writeClass makes the folder that stands for /sys/class/mei.
func writeClass(dir string, f mei.Facts) error {
	var status, version strings.Builder
	for _, r := range f.FirmwareStatus {
		fmt.Fprintf(&status, "%08X\n", r)
	}
	for _, v := range f.FirmwareVersions {
		fmt.Fprintln(&version, v)
	}
	files := map[string]string{
		"dev": fmt.Sprintf("%d:%d\n", deviceMajor, deviceMinor), "uevent": fmt.Sprintf("MAJOR=%d\nMINOR=%d\nDEVNAME=mei0\n", deviceMajor, deviceMinor),
		"fw_status": status.String(), "fw_ver": version.String(), "dev_state": f.State + "\n", "kind": f.Kind + "\n",
	}
	if f.HBM != (mei.Version{}) {
		files["hbm_ver"], files["hbm_ver_drv"] = fmt.Sprintln(f.HBM), fmt.Sprintln(f.DriverHBM)
	}
	if f.QueueLimit != 0 {
		files["tx_queue_limit"] = fmt.Sprintln(f.QueueLimit)
	}
	if f.Trace != nil {
		files["trc"] = fmt.Sprintf("%08X\n", *f.Trace)
	}
	device := filepath.Join(dir, "mei0")
	if err := os.MkdirAll(device, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if strings.TrimSpace(text) == "" {
			continue // older drivers do not have it
		}
		if err := os.WriteFile(filepath.Join(device, name), []byte(text), 0o444); err != nil {
			return err
		}
	}
	return nil
}
