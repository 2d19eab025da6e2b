package mei

import (
	"errors"
	"io/fs"
	"reflect"
	"testing"
	"testing/fstest"
)

func files(dir string, all map[string]string) fstest.MapFS {
	sys := fstest.MapFS{}
	for name, text := range all {
		sys[dir+"/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return sys
}

// The values are those that Linux 6.1 showed over an emulated function.
func TestReadFacts(t *testing.T) {
	sys := files("class/mei/mei0", map[string]string{
		"dev":            "242:0\n",
		"fw_status":      "14000245\n09F10506\n00000020\n00004000\n00041F03\n00000000\n",
		"fw_ver":         "0:16.1.27.2176\n0:16.1.27.2176\n0:0.0.0.0\n",
		"hbm_ver":        "2.2\n",
		"hbm_ver_drv":    "2.2\n",
		"tx_queue_limit": "50\n",
		"dev_state":      "ENABLED",
		"kind":           "mei\n",
		"trc":            "0000001F\n",
	})
	got, err := ReadFacts(sys, "mei0")
	want := Facts{
		Device:           "242:0",
		FirmwareStatus:   []uint32{0x14000245, 0x09f10506, 0x20, 0x4000, 0x41f03, 0},
		FirmwareVersions: []FirmwareVersion{{0, 16, 1, 27, 2176}, {0, 16, 1, 27, 2176}, {}},
		HBM:              Version{2, 2},
		DriverHBM:        Version{2, 2},
		QueueLimit:       50,
		State:            "ENABLED",
		Trace:            new(uint32(0x1f)),
		Kind:             "mei",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if s, ok := got.DeviceState(); s != Enabled || !ok {
		t.Errorf("got %v, %t", s, ok)
	}
	if got := got.FirmwareVersions[0].String(); got != "0:16.1.27.2176" {
		t.Errorf("got %s", got)
	}
	if names, err := Devices(sys); err != nil || !reflect.DeepEqual(names, []string{"mei0"}) {
		t.Errorf("got %v, %v", names, err)
	}
}

// A kernel of the 3.x days has next to nothing.
func TestReadFactsOldKernel(t *testing.T) {
	got, err := ReadFacts(files("class/mei/mei0", map[string]string{"dev": "10:59\n"}), "mei0")
	if err != nil || !reflect.DeepEqual(got, Facts{Device: "10:59"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ReadFacts(fstest.MapFS{}, "mei0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if names, err := Devices(fstest.MapFS{}); names != nil || err != nil {
		t.Errorf("got %v, %v", names, err)
	}
	for name, text := range map[string]string{"fw_status": "x", "fw_ver": "0:1.2.3", "hbm_ver": "2", "hbm_ver_drv": "2.x", "tx_queue_limit": "many", "trc": "-"} {
		if _, err := ReadFacts(files("class/mei/mei0", map[string]string{name: text}), "mei0"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListClients(t *testing.T) {
	sys := files("bus/mei/devices/0000:00:16.0-6733a4db-0476-4e7b-b3af-bcfc29bee7a7", map[string]string{
		"uuid": "6733a4db-0476-4e7b-b3af-bcfc29bee7a7\n", "version": "0A\n", "max_conn": "1\n", "fixed": "0\n", "vtag": "1\n", "max_len": "5120\n",
	})
	got, err := ListClients(sys)
	want := []Listed{{Name: "0000:00:16.0-6733a4db-0476-4e7b-b3af-bcfc29bee7a7",
		Properties: Properties{Client: LME, Version: 10, MaxConnections: 1, Tags: true, MaxMsgLen: 5120}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}
