package firmware_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/wsman"
)

// ask sends a request to the web server and returns status and body.
func ask(t *testing.T, c *wsman.Client, method, path, body, contentType string) (int, *wsman.HTTPReply) {
	t.Helper()
	got, err := c.HTTP(t.Context(), method, path, []byte(body), contentType)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return got.Status, got
}

const textFile = "<metadata><headers><h>Content-Type: text/plain</h></headers><link>Notes</link></metadata>"

func TestStoragePutGetDelete(t *testing.T) {
	w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{})
	for _, tt := range []struct {
		method, path, body, contentType string
		want                            int
	}{
		{"PUT", "/amt-storage/Acme/Docs/a.txt", textFile + "hello ", "", http.StatusOK},
		{"PUT", "/amt-storage/Acme/Docs/a.txt?append=", "world", "", http.StatusOK},
		{"PUT", "/amt-storage/Acme/Docs/a.txt?append=1", "<metadata></metadata>!", "", http.StatusOK},
		{"PUT", "/amt-storage/Acme/Docs/a.txt", textFile + "x", "text/plain", http.StatusBadRequest},
		{"PUT", "/amt-storage/Acme/Docs/a.txt", "no metadata", "", http.StatusBadRequest},
		{"PUT", "/amt-storage/Acme/Docs/a.txt", "<metadata><headers>", "", http.StatusBadRequest},
		{"PUT", "/amt-storage/Acme/Docs/a.txt", "<metadata><headers><h>no colon</h></headers></metadata>", "", http.StatusBadRequest},
		{"PUT", "/amt-storage/Acme/Docs/a.txt", textFile + strings.Repeat("x", 8192), "", http.StatusInternalServerError},
		{"PUT", "/amt-storage/Acme/Docs/other?append=", "x", "", http.StatusNotFound},
		{"PUT", "/amt-storage/Acme/Docs/long-name.txt", textFile, "", http.StatusBadRequest},
		{"PUT", "/amt-storage/Intel/Docs/a.txt", textFile, "", http.StatusBadRequest},
		{"PUT", "/amt-storage/a.txt", textFile, "", http.StatusBadRequest},
		{"PUT", "/amt-storage/Acme/a.txt", textFile, "", http.StatusBadRequest},
		{"PUT", "/amt-storage/Acme/../a.txt", textFile, "", http.StatusBadRequest},
		{"GET", "/amt-storage/Acme/Docs", "", "", http.StatusNotFound},
		{"GET", "/amt-storage/Acme/Docs/b.txt", "", "", http.StatusNotFound},
		{"POST", "/amt-storage/Acme/Docs/a.txt", "", "", http.StatusMethodNotAllowed},
		{"DELETE", "/amt-storage/Acme/Docs", "", "", http.StatusBadRequest},
		{"DELETE", "/amt-storage/Acme/Docs/b.txt", "", "", http.StatusNotFound},
	} {
		if got, _ := ask(t, w.Client, tt.method, tt.path, tt.body, tt.contentType); got != tt.want {
			t.Errorf("%s %s %.20q: %d, want %d", tt.method, tt.path, tt.body, got, tt.want)
		}
	}
	_, got := ask(t, w.Client, "GET", "/amt-storage/Acme/Docs/a.txt", "", "")
	if string(got.Body) != "hello world!" || got.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %q of %s", got.Body, got.Header.Get("Content-Type"))
	}
	if _, got = ask(t, w.Client, "GET", "/hw-sys.htm", "", ""); !strings.Contains(string(got.Body), `<a href="/amt-storage/Acme/Docs/a.txt">Notes</a>`) {
		t.Error("the pages have no link to the file")
	}
	for _, path := range []string{"Acme/Docs/a.txt", "Acme/Docs", "Acme"} {
		if got, _ := ask(t, w.Client, "DELETE", "/amt-storage/"+path, "", ""); got != http.StatusOK {
			t.Errorf("DELETE %s: %d", path, got)
		}
	}
	if _, got = ask(t, w.Client, "GET", "/amt-storage/", "", ""); !strings.HasSuffix(string(got.Body), `"content": []}`) {
		t.Errorf("the list after all is deleted: %s", got.Body)
	}
}

// The list has two forms, and folders stay when their last file is gone.
func TestStorageList(t *testing.T) {
	const notJSON = "\x01"
	for _, tt := range []struct {
		generation int
		want       string
	}{
		{11, `{"information": {"version": 1.1,"user": "admin"},"content": {"Acme": {"Docs": {"a.txt": {"size": 5,"link": "Notes"}},"Old": {}},"index.htm": {"size": 2,"link": "` + notJSON + `"}}}`},
		{12, `{"information": {"version": 1.1,"user": "admin"},"content": [{"vendor":"Acme","app":"Docs","name":"a.txt","size":5,"link":"Notes"},{"vendor":"Acme","app":"Old"},{"name":"index.htm","size":2}]}`},
	} {
		w := newWorld(t, firmware.Config{Generation: tt.generation}, pc.Options{})
		ask(t, w.Client, "PUT", "/amt-storage/Acme/Docs/a.txt", textFile+"12345", "")
		ask(t, w.Client, "PUT", "/amt-storage/Acme/Old/b", textFile, "")
		ask(t, w.Client, "DELETE", "/amt-storage/Acme/Old/b", "", "")
		ask(t, w.Client, "PUT", "/amt-storage/index.htm", "<metadata><headers><h>Content-Type: text/html</h></headers></metadata>hi", "")
		_, got := ask(t, w.Client, "GET", "/amt-storage/", "", "")
		if string(got.Body) != tt.want {
			t.Errorf("%d:\n got %q\nwant %q", tt.generation, got.Body, tt.want)
		}
		if clean := strings.ReplaceAll(string(got.Body), notJSON, ""); !json.Valid([]byte(clean)) {
			t.Errorf("%d: not even JSON without the octet: %s", tt.generation, clean)
		}
	}
}

func TestStorageIsFull(t *testing.T) {
	w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{})
	full, pieces := 0, 0
	ask(t, w.Client, "PUT", "/amt-storage/Acme/Docs/big", textFile, "")
	for ; pieces < 100 && full == 0; pieces++ {
		if code, _ := ask(t, w.Client, "PUT", "/amt-storage/Acme/Docs/big?append=", strings.Repeat("x", 8192), ""); code != http.StatusOK {
			full = code
		}
	}
	if full != http.StatusInternalServerError || pieces < 20 {
		t.Errorf("after %d pieces: %d", pieces, full)
	}
}

// Reading is for every user, writing for those of the storage realms; older and newer releases have no such thing.
func TestStorageRefuses(t *testing.T) {
	w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{})
	for name, realms := range map[string][]amt.Realm{"reader": {amt.Realm(firmware.RealmGeneralInfo)}, "writer": {amt.Realm(firmware.RealmStorage)}} {
		hash := digest.HA1(name, w.Identity().Realm, "Secr3t!pass")
		_, err := amt.AuthorizationServiceAddUserAclEntryEx.Invoke(t.Context(), w, amt.AuthorizationServiceAddUserAclEntryExIn{
			DigestUsername: &name, DigestPassword: hash[:], AccessPermission: new(amt.AccessPermissionAny), Realms: realms})
		if err != nil {
			t.Fatal(err)
		}
		c := w.login(t, name, "Secr3t!pass")
		want := map[string]int{"reader": http.StatusForbidden, "writer": http.StatusOK}[name]
		if got, _ := ask(t, c, "PUT", "/amt-storage/Acme/Docs/a", textFile, ""); got != want {
			t.Errorf("%s: PUT %d, want %d", name, got, want)
		}
		if got, _ := ask(t, c, "GET", "/amt-storage/", "", ""); got != http.StatusOK {
			t.Errorf("%s: GET %d", name, got)
		}
	}
	for _, release := range []string{"8", "11.0.0.1000", "16"} {
		w := newWorld(t, firmware.Config{Version: release}, pc.Options{})
		if got, _ := ask(t, w.Client, "GET", "/amt-storage/", "", ""); got != http.StatusNotFound {
			t.Errorf("release %s: %d", release, got)
		}
	}
}

// A stored index.htm is shown instead of the machine's own, and its state outlives a restart but no unprovision.
func TestStorageReplacesPage(t *testing.T) {
	w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{})
	ask(t, w.Client, "PUT", "/amt-storage/index.htm", "<metadata><headers><h>Content-Encoding: gzip</h><h>Content-Type: text/html</h></headers></metadata>\x1f\x8bpage", "")
	look := func(w *world) string {
		_, got := ask(t, w.Client, "GET", "/index.htm", "", "")
		return got.Header.Get("Content-Encoding") + " " + string(got.Body)
	}
	if got := look(w); got != "gzip \x1f\x8bpage" {
		t.Errorf("got %.60q", got)
	}
	var saved bytes.Buffer
	if err := w.Dump(&saved); err != nil {
		t.Fatal(err)
	}
	state, err := firmware.ReadState(bytes.NewReader(saved.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, firmware.Config{State: state}, pc.Options{})
	if got := look(again); got != "gzip \x1f\x8bpage" {
		t.Errorf("after a restart: %.60q", got)
	}
	ask(t, again.Client, "DELETE", "/amt-storage/index.htm", "", "")
	if got := look(again); !strings.Contains(got, "System Status") {
		t.Errorf("after it was deleted: %.60q", got)
	}
	w.Unprovision()
	state, err = w.State()
	if err != nil || state.Parts["storage"] != nil {
		t.Errorf("after unprovision: %s, %v", state.Parts["storage"], err)
	}
	bad := strings.Replace(saved.String(), `"Path": "index.htm"`, `"Path": "../index.htm"`, 1)
	if state, err = firmware.ReadState(strings.NewReader(bad)); err != nil || bad == saved.String() {
		t.Fatal("the state does not hold the path as it is thought to:", err)
	}
	if _, err := firmware.New(firmware.Config{State: state}); err == nil {
		t.Error("a state with a bad path was loaded")
	}
}
