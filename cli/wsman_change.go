package cli

import (
	"context"
	"fmt"
	"net/http"
	"sort"

	"github.com/outband/outband/wire/wsman"
)

// put sends an instance, or reads it, changes what --prop says, and writes it back.
func (c *wsmanCall) put(ctx context.Context) (int, error) {
	if c.opts.has("input") {
		instance, err := c.resource()
		if err != nil {
			return 0, err
		}
		return c.simple(ctx, wsman.ActionPut, instance)
	}
	props, err := c.properties()
	if err != nil {
		return 0, err
	}
	get, err := c.request(wsman.ActionGet, nil)
	if err != nil {
		return 0, err
	}
	reply, err := c.ask(ctx, get.Append(nil))
	if err != nil {
		return 0, err
	}
	if reply.Status != http.StatusOK {
		return reply.Status, c.shown(reply, 0)
	}
	answer, err := wsman.ParseResponse(reply.Body)
	if err != nil {
		return 0, err
	}
	if answer.Body == nil {
		return 0, fmt.Errorf("wsman: the answer to Get has nothing in its Body")
	}
	for _, p := range props {
		setProperty(answer.Body, p[0], p[1])
	}
	return c.simple(ctx, wsman.ActionPut, answer.Body)
}

// setProperty changes a property of an instance. One that is not there, as write-only ones are not, goes where it stands
// in the order that AMT keeps.
func setProperty(instance *wsman.Element, name, value string) {
	if e := instance.Child(name); e != nil {
		*e = wsman.El(e.Space, e.Local, value)
		return
	}
	all := instance.Children
	at := sort.Search(len(all), func(i int) bool { return all[i].Local > name })
	changed := append(append([]wsman.Element{}, all[:at]...), wsman.El(instance.Space, name, value))
	instance.Children = append(changed, all[at:]...)
}

func (c *wsmanCall) create(ctx context.Context) (int, error) {
	if c.opts.has("input") {
		instance, err := c.resource()
		if err != nil {
			return 0, err
		}
		return c.simple(ctx, wsman.ActionCreate, instance)
	}
	props, err := c.properties()
	if err != nil {
		return 0, err
	}
	if len(props) == 0 {
		return 0, errInput
	}
	return c.simple(ctx, wsman.ActionCreate, c.group(wsman.ClassName(c.uri), props))
}

func (c *wsmanCall) group(name string, props [][2]string) *wsman.Element {
	e := wsman.Group(c.uri, name)
	for _, p := range props {
		e.Children = append(e.Children, wsman.El(c.uri, p[0], p[1]))
	}
	return &e
}

func (c *wsmanCall) invoke(ctx context.Context) (int, error) {
	method := c.opts.get("method")
	if method == "" {
		return 0, usage("--method names it", "which method?")
	}
	var body *wsman.Element
	if c.opts.has("input") {
		var err error
		if body, err = c.resource(); err != nil {
			return 0, err
		}
	} else {
		props, err := c.properties()
		if err != nil {
			return 0, err
		}
		body = c.group(method+"_INPUT", props)
	}
	return c.simple(ctx, c.uri+"/"+method, body)
}
