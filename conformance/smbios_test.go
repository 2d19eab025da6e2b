package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/outband/outband/wire/smbios"
)

// deskDump is a PC that nobody has built, in the form of dmidecode --dump-bin.
const deskDump = "../wire/smbios/testdata/desk.bin"

// TestSMBIOS: dmidecode reads the same out of a dump as our command.
func TestSMBIOS(t *testing.T) {
	t.Parallel()
	dmidecode := tool(t, "dmidecode", "dmidecode")
	foreign := parseDMI(succeed(t, dmidecode, "--no-sysfs", "--from-dump", deskDump))
	var ours smbios.Inventory
	check(t, json.Unmarshal([]byte(succeed(t, outband(t), "local", "smbios", "--from", deskDump, "-o", "json")), &ours))
	for _, tt := range []struct {
		kind   string
		number int
		want   map[string]string
	}{
		{"BIOS Information", 0, map[string]string{"Vendor": ours.BIOS.Vendor, "Version": ours.BIOS.Version, "Release Date": ours.BIOS.Date,
			"ROM Size": fmt.Sprintf("%d MB", ours.BIOS.ROM>>20), "BIOS Revision": ours.BIOS.Revision}},
		{"System Information", 0, map[string]string{"Manufacturer": ours.System.Manufacturer, "Product Name": ours.System.Product, "Serial Number": ours.System.Serial,
			"UUID": ours.System.UUID, "Wake-up Type": ours.System.Wake, "SKU Number": ours.System.SKU, "Family": ours.System.Family}},
		{"Base Board Information", 0, map[string]string{"Product Name": ours.Boards[0].Product, "Version": ours.Boards[0].Version, "Serial Number": ours.Boards[0].Serial}},
		{"Chassis Information", 0, map[string]string{"Type": ours.Chassis[0].Type, "Asset Tag": ours.Chassis[0].Asset, "SKU Number": ours.Chassis[0].SKU, "Lock": "Present"}},
		{"Processor Information", 0, map[string]string{"Socket Designation": ours.Processors[0].Socket, "Family": ours.Processors[0].Family,
			"Version": ours.Processors[0].Version, "Voltage": fmt.Sprintf("%.1f V", ours.Processors[0].Volts), "Status": "Populated, " + ours.Processors[0].Status,
			"Max Speed": fmt.Sprintf("%d MHz", ours.Processors[0].MaxMHz), "Current Speed": fmt.Sprintf("%d MHz", ours.Processors[0].MHz),
			"Core Count": fmt.Sprint(ours.Processors[0].Cores), "Core Enabled": fmt.Sprint(ours.Processors[0].Enabled), "Thread Count": fmt.Sprint(ours.Processors[0].Threads)}},
		{"Processor Information", 1, map[string]string{"Status": "Unpopulated", "Type": ours.Processors[1].Type}},
		{"Cache Information", 0, map[string]string{"Installed Size": fmt.Sprintf("%d MB", ours.Caches[0].Bytes>>20), "Operational Mode": ours.Caches[0].Mode,
			"Error Correction Type": ours.Caches[0].ECC, "System Type": ours.Caches[0].Type, "Associativity": ours.Caches[0].Ways + " Set-associative"}},
		{"System Slot Information", 0, map[string]string{"Designation": ours.Slots[0].Name, "Bus Address": ours.Slots[0].Address, "Current Usage": "Available"}},
		{"System Slot Information", 1, map[string]string{"Type": ours.Slots[1].Type, "Bus Address": ours.Slots[1].Address, "Current Usage": "In Use"}},
		{"OEM Strings", 0, map[string]string{"String 1": ours.Texts[0], "String 2": ours.Texts[1]}},
		{"Physical Memory Array", 0, map[string]string{"Location": ours.Arrays[0].Location + " Or Motherboard", "Use": ours.Arrays[0].Use,
			"Maximum Capacity": fmt.Sprintf("%d GB", ours.Arrays[0].Max>>30), "Number Of Devices": fmt.Sprint(ours.Arrays[0].Sockets)}},
		{"Memory Device", 0, map[string]string{"Size": fmt.Sprintf("%d GB", ours.Memory[0].Bytes>>30), "Form Factor": ours.Memory[0].Form, "Type": ours.Memory[0].Type,
			"Speed": fmt.Sprintf("%d MT/s", ours.Memory[0].MTs), "Configured Memory Speed": fmt.Sprintf("%d MT/s", ours.Memory[0].Configured),
			"Rank": fmt.Sprint(ours.Memory[0].Rank), "Part Number": ours.Memory[0].Part, "Serial Number": ours.Memory[0].Serial,
			"Configured Voltage": fmt.Sprintf("%.1f V", float64(ours.Memory[0].Millivolts)/1000)}},
		{"Memory Device", 1, map[string]string{"Size": "No Module Installed", "Bank Locator": ours.Memory[1].Bank}},
		{"Memory Device", 2, map[string]string{"Size": fmt.Sprintf("%d GB", ours.Memory[2].Bytes>>30), "Form Factor": ours.Memory[2].Form, "Type": ours.Memory[2].Type,
			"Total Width": fmt.Sprintf("%d bits", ours.Memory[2].Total), "Speed": fmt.Sprintf("%d MT/s", ours.Memory[2].MTs)}},
		{"Memory Array Mapped Address", 0, map[string]string{"Starting Address": fmt.Sprintf("0x%011X", ours.Mapped[0].Start), "Ending Address": fmt.Sprintf("0x%011X", ours.Mapped[0].End)}},
		{"Onboard Device", 0, map[string]string{"Reference Designation": ours.Devices[0].Name, "Type": ours.Devices[0].Type, "Bus Address": ours.Devices[0].Address}},
		{"TPM Device", 0, map[string]string{"Vendor ID": ours.TPM.Vendor, "Specification Version": ours.TPM.Version, "Firmware Revision": ours.TPM.Firmware, "Description": ours.TPM.Description}},
	} {
		if len(foreign[tt.kind]) <= tt.number {
			t.Errorf("dmidecode shows %d of %s", len(foreign[tt.kind]), tt.kind)
			continue
		}
		for field, got := range tt.want {
			if theirs := foreign[tt.kind][tt.number][field]; got == "" || !strings.EqualFold(got, theirs) {
				t.Errorf("%s %d, %s: we say %q, dmidecode %q", tt.kind, tt.number, field, got, theirs)
			}
		}
	}
}

// TestSMBIOSSaved: dmidecode reads what our command saves as it reads the dump itself.
func TestSMBIOSSaved(t *testing.T) {
	t.Parallel()
	dmidecode := tool(t, "dmidecode", "dmidecode")
	saved := t.TempDir() + "/saved.bin"
	succeed(t, outband(t), "local", "smbios", "--from", deskDump, "--save", saved)
	read := func(file string) string {
		_, text, _ := strings.Cut(succeed(t, dmidecode, "--no-sysfs", "--from-dump", file), file)
		return text
	}
	if got, want := read(saved), read(deskDump); got != want || len(want) < 1000 {
		t.Errorf("saved:\n%s\nthe dump:\n%s", got, want)
	}
}

// parseDMI reads what dmidecode prints: the fields of each structure, by its title.
func parseDMI(text string) map[string][]map[string]string {
	out := map[string][]map[string]string{}
	for _, block := range strings.Split(text, "\n\n") {
		lines := strings.Split(block, "\n")
		if len(lines) < 2 || !strings.HasPrefix(lines[0], "Handle ") {
			continue
		}
		fields := map[string]string{}
		for _, line := range lines[2:] {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				fields[name] = strings.TrimSpace(value)
			}
		}
		out[lines[1]] = append(out[lines[1]], fields)
	}
	return out
}
