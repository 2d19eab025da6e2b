package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/fat"
	"github.com/outband/outband/wire/setupbin"
)

// setupFile has our command make a Setup.bin for one machine and returns its name and content.
func setupFile(t *testing.T, dir string, settings ...string) (name string, content []byte) {
	t.Helper()
	name = filepath.Join(dir, "Setup.bin")
	got := run(t, []string{"AMT_NEW_PASSWORD=" + password}, "", outband(t), append([]string{"setupbin", "create", name, "--single"}, settings...)...)
	if got.code != 0 {
		t.Fatal(got.err)
	}
	content, err := os.ReadFile(name)
	check(t, err)
	return name, content
}

// succeed runs a program that has to succeed.
func succeed(t *testing.T, name string, args ...string) string {
	t.Helper()
	got := run(t, []string{"MTOOLS_SKIP_CHECK=1", "LC_ALL=C"}, "", name, args...)
	if got.code != 0 {
		t.Fatalf("%s %q: exit code %d\n%s%s", name, args, got.code, got.out, got.err)
	}
	return got.out
}

// partition copies the first partition of an image to a file of its own, for programs that know no partitions.
func partition(t *testing.T, image string) string {
	t.Helper()
	b, err := os.ReadFile(image)
	check(t, err)
	start, sectors := binary.LittleEndian.Uint32(b[446+8:]), binary.LittleEndian.Uint32(b[446+12:])
	name := image + ".part"
	check(t, os.WriteFile(name, b[512*int64(start):512*(int64(start)+int64(sectors))], 0o600))
	return name
}

// TestStick: what our command writes, dosfstools finds no fault with, and mtools and the kernel find the file in.
func TestStick(t *testing.T) {
	t.Parallel()
	fsck, mdir, mcopy := tool(t, "fsck.fat", "dosfstools"), tool(t, "mdir", "mtools"), tool(t, "mcopy", "mtools")
	for _, args := range [][]string{
		{}, {"--size", "8M"}, {"--size", "34M"}, {"--size", "64M", "--fat", "16"}, {"--size", "300M"}, {"--size", "200M", "--fat", "16", "--label", "KEY"},
	} {
		t.Run(strings.Join(append([]string{"default"}, args...), " "), func(t *testing.T) {
			dir := t.TempDir()
			name, content := setupFile(t, dir)
			image := filepath.Join(dir, "stick.img")
			succeed(t, outband(t), append([]string{"setupbin", "stick", name, image}, args...)...)
			part := partition(t, image)
			if out := succeed(t, fsck, "-n", part); strings.Count(out, "\n") > 2 { // the version, and a line of figures
				t.Errorf("fsck.fat: %s", out)
			}
			if out := succeed(t, mdir, "-b", "-i", image+"@@1M", "::"); strings.TrimSpace(out) != "::/SETUP.BIN" {
				t.Errorf("mdir: %q", out)
			}
			succeed(t, mcopy, "-i", image+"@@1M", "::SETUP.BIN", filepath.Join(dir, "copy.bin"))
			got, err := os.ReadFile(filepath.Join(dir, "copy.bin"))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("mcopy: %d octets, %v; want the %d of the file", len(got), err, len(content))
			}
			t.Run("kernel", func(t *testing.T) { mounted(t, part, content) })
		})
	}
}

// mounted has the kernel read the file, where a test may mount things and the kernel knows FAT.
func mounted(t *testing.T, part string, content []byte) {
	at := t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("only root may mount")
	}
	if got := run(t, nil, "", tool(t, "mount", "mount"), "-t", "vfat", "-o", "loop,ro", part, at); got.code != 0 {
		t.Skipf("mount: %s", got.err)
	}
	defer run(t, nil, "", tool(t, "umount", "mount"), at)
	got, err := os.ReadFile(filepath.Join(at, "setup.bin"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("the kernel reads %d octets, %v; want %d", len(got), err, len(content))
	}
}

// TestForeignStick: a virtual machine is set up from keys that dosfstools and mtools have made, and go-wsman-messages
// reads what the key has set.
func TestForeignStick(t *testing.T) {
	t.Parallel()
	mkfs, fsck, mcopy := tool(t, "mkfs.fat", "dosfstools"), tool(t, "fsck.fat", "dosfstools"), tool(t, "mcopy", "mtools")
	for _, tt := range []struct {
		name       string
		mkfs       []string
		size       int64
		offset     int64 // of the volume; not 0: on a partition
		generation int
		kind       fat.Type
	}{
		{"floppy", []string{"-F", "12"}, 1440 << 10, 0, 11, fat.FAT12},
		{"FAT12 on a partition", []string{"-F", "12"}, 4 << 20, 63 * 512, 12, fat.FAT12},
		{"FAT16", []string{"-F", "16"}, 32 << 20, 0, 16, fat.FAT16},
		{"FAT16 on a partition", []string{"-F", "16"}, 32 << 20, 1 << 20, 19, fat.FAT16},
		{"FAT32 on a partition", []string{"-F", "32"}, 64 << 20, 1 << 20, 12, fat.FAT32},
		{"FAT32 with large sectors", []string{"-F", "32", "-S", "4096"}, 300 << 20, 0, 12, fat.FAT32},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			name, content := setupFile(t, dir, "host-name=desk-7", "domain=example.com", "dns-suffix=example.com", "server-name=setup.example.com",
				"redirection=sol", "user-consent=kvm", "fqdn=dedicated")
			image := filepath.Join(dir, "key.img")
			check(t, os.WriteFile(image, nil, 0o600))
			check(t, os.Truncate(image, tt.size))
			args := append(tt.mkfs, "-n", "KEY")
			if tt.offset > 0 {
				args = append(args, "--offset", fmt.Sprint(tt.offset/512), "-h", fmt.Sprint(tt.offset/512))
			}
			succeed(t, mkfs, append(args, image, fmt.Sprint((tt.size-tt.offset)>>10))...)
			if tt.offset > 0 {
				writeTable(t, image, tt.offset, tt.size)
			}
			succeed(t, mcopy, "-i", fmt.Sprintf("%s@@%d", image, tt.offset), name, "::")

			w := machine(t, lab.Machine{Profile: tt.generation, Unset: true, USB: image})
			if result, ok := w.Firmware.KeySetup(); !ok || result.Err != nil || w.Firmware.ControlMode() != firmware.ModeAdmin {
				t.Fatalf("%+v, %v; screen %q", result, ok, w.PC.Lines())
			}
			readBack(t, w)

			f, err := os.Open(image)
			check(t, err)
			defer f.Close()
			volume, err := fat.Open(f, tt.size)
			check(t, err)
			if volume.Type() != tt.kind || volume.Start() != tt.offset {
				t.Errorf("read as %v at %d, want %v at %d", volume.Type(), volume.Start(), tt.kind, tt.offset)
			}
			part := image
			if tt.offset > 0 {
				part = partition(t, image)
			}
			if out := succeed(t, fsck, "-n", part); strings.Count(out, "\n") > 2 {
				t.Errorf("fsck.fat after the machine has marked the record: %s", out)
			}
			succeed(t, mcopy, "-i", fmt.Sprintf("%s@@%d", image, tt.offset), "::SETUP.BIN", filepath.Join(dir, "used.bin"))
			used, err := os.ReadFile(filepath.Join(dir, "used.bin"))
			check(t, err)
			marked, err := setupbin.Parse(used)
			check(t, err)
			if len(used) != len(content) || marked.Consumed != 1 || marked.Records[0].Usable() || bytes.Contains(used, []byte(password)) {
				t.Errorf("%d octets, %d consumed, usable %v", len(used), marked.Consumed, marked.Records[0].Usable())
			}
		})
	}
}

// readBack has go-wsman-messages log in with the key's password and read what the key has set.
func readBack(t *testing.T, w *world) {
	t.Helper()
	m := gowsman(t, w)
	general, err := m.AMT.GeneralSettings.Get()
	check(t, err)
	g := general.Body.GetResponse
	setup, err := m.AMT.SetupAndConfigurationService.Get()
	check(t, err)
	s := setup.Body.GetResponse
	redirection, err := m.AMT.RedirectionService.Get()
	check(t, err)
	consent, err := m.IPS.OptInService.Get()
	check(t, err)
	host, err := m.IPS.HostBasedSetupService.Get()
	check(t, err)
	got := fmt.Sprint(g.HostName, " ", g.DomainName, " ", g.SharedFQDN, " ", s.TrustedDNSSuffix, " ", s.ConfigurationServerFQDN, " ", int(s.ProvisioningState), " ",
		int(redirection.Body.GetAndPutResponse.EnabledState), " ", int(consent.Body.GetAndPutResponse.OptInRequired), " ", int(host.Body.GetResponse.CurrentControlMode))
	if want := "desk-7 example.com false example.com setup.example.com 2 32770 1 2"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
}

// writeTable puts a partition table in front of a volume.
func writeTable(t *testing.T, image string, offset, size int64) {
	t.Helper()
	sector := make([]byte, 512)
	sector[446+4] = 0x0c
	binary.LittleEndian.PutUint32(sector[446+8:], uint32(offset/512))
	binary.LittleEndian.PutUint32(sector[446+12:], uint32((size-offset)/512))
	sector[510], sector[511] = 0x55, 0xaa
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteAt(sector, 0)
	check(t, err)
	check(t, f.Close())
}
