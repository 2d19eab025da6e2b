package wsman_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// A machine with one class, one instance and one method.
type toaster struct{}

func (toaster) ServeWSMan(_ context.Context, req *wsman.Request) (*wsman.Response, error) {
	switch uri := wsman.ClassURI("AMT_GeneralSettings"); {
	case req.Body != nil && req.Body.Local == "Identify":
		body := wsman.Group(wsman.NSIdentity, "IdentifyResponse", wsman.El(wsman.NSIdentity, "ProductVersion", "AMT 16.1"))
		return &wsman.Response{Body: &body}, nil
	case req.ResourceURI != uri:
		return nil, wsman.ErrDestinationUnreachable
	case req.Action == wsman.ActionGet:
		body := wsman.Group(uri, "AMT_GeneralSettings", wsman.El(uri, "HostName", "desk-7"))
		return &wsman.Response{Body: &body}, nil
	case req.Action == uri+"/Toast":
		body := wsman.Group(uri, "Toast_OUTPUT", wsman.El(uri, "ReturnValue", "0"))
		return &wsman.Response{Body: &body}, nil
	}
	return nil, wsman.ErrActionNotSupported
}

// listen puts a handler on a port of the loopback address.
func listen(h wsman.Handler) (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", func() {}
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		doc, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wsman.MaxDocument))
		if err != nil {
			return
		}
		status, reply := wsman.Serve(r.Context(), h, doc, func() string { return wsman.MessageID(1) })
		w.WriteHeader(status)
		w.Write(reply)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	return l.Addr().String(), func() {
		server.Close()
		<-done
	}
}

func ExampleClient() {
	address, stop := listen(toaster{})
	defer stop()

	c := &wsman.Client{
		Dial: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address) // port 16992 of a machine
		},
		Password: "P@ssw0rd",
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	id, err := wsman.Identify(ctx, c)
	fmt.Println(id.ProductVersion, err)

	settings, err := wsman.Get(ctx, c, "AMT_GeneralSettings", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(settings.ChildText("HostName"))

	_, err = wsman.Get(ctx, c, "AMT_AlarmClockService", nil)
	fmt.Println(errors.Is(err, wsman.ErrDestinationUnreachable))

	out, err := wsman.Invoke(ctx, c, "AMT_GeneralSettings", "Toast", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.ChildText("ReturnValue"))
	// Output:
	// AMT 16.1 <nil>
	// desk-7
	// true
	// 0
}

func ExampleEnumerate() {
	address, stop := listen(twoChips{})
	defer stop()
	c := &wsman.Client{Dial: func(ctx context.Context) (net.Conn, error) { return net.Dial("tcp", address) }}
	defer c.Close()

	for chip, err := range wsman.Enumerate(context.Background(), c, "CIM_Chip", nil, nil) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(chip.ChildText("Tag"))
	}
	// Output:
	// CPU 0
	// DIMM 1
}

type twoChips struct{}

func (twoChips) ServeWSMan(_ context.Context, req *wsman.Request) (*wsman.Response, error) {
	uri := wsman.ClassURI("CIM_Chip")
	body := wsman.Group(wsman.NSEnumeration, "EnumerateResponse", wsman.El(wsman.NSEnumeration, "EnumerationContext", "1"))
	if req.Action == wsman.ActionPull {
		body = wsman.Group(wsman.NSEnumeration, "PullResponse",
			wsman.Group(wsman.NSEnumeration, "Items",
				wsman.Group(uri, "CIM_Chip", wsman.El(uri, "Tag", "CPU 0")),
				wsman.Group(uri, "CIM_Chip", wsman.El(uri, "Tag", "DIMM 1"))),
			wsman.El(wsman.NSEnumeration, "EndOfSequence", ""))
	}
	return &wsman.Response{Body: &body}, nil
}

func ExampleParse() {
	root, err := wsman.Parse([]byte(`<g:CIM_Chip xmlns:g="urn:chip"><g:Tag>CPU &amp; co</g:Tag></g:CIM_Chip>`))
	fmt.Println(root.Space, root.Local, root.ChildText("Tag"), err)
	// Output: urn:chip CIM_Chip CPU & co <nil>
}

func ExampleRef() {
	boot := wsman.Ref("CIM_BootSourceSetting", "InstanceID", "Intel(r) AMT: Force PXE Boot")
	fmt.Println(boot)
	fmt.Println(boot.ResourceURI)
	// Output:
	// CIM_BootSourceSetting?InstanceID="Intel(r) AMT: Force PXE Boot"
	// http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_BootSourceSetting
}
