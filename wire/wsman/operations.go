package wsman

import (
	"context"
	"fmt"
)

// Get reads an instance: the element that stands for it, named after its actual class. uri is a resource URI or a class
// name. Errors are those of rt.
func Get(ctx context.Context, rt RoundTripper, uri string, sel Selectors) (*Element, error) {
	return operate(ctx, rt, &Request{Action: ActionGet, ResourceURI: ClassURI(uri), Selectors: sel})
}

// Put writes a whole instance and returns it as it is after the change. Properties that are left out keep their value
// on most classes.
func Put(ctx context.Context, rt RoundTripper, uri string, sel Selectors, instance *Element) (*Element, error) {
	return operate(ctx, rt, &Request{Action: ActionPut, ResourceURI: ClassURI(uri), Selectors: sel, Body: instance})
}

// Create makes an instance and returns a reference to it.
func Create(ctx context.Context, rt RoundTripper, uri string, instance *Element) (EPR, error) {
	created, err := operate(ctx, rt, &Request{Action: ActionCreate, ResourceURI: ClassURI(uri), Body: instance})
	if err != nil {
		return EPR{}, err
	}
	return ParseEPR(created)
}

// Delete removes an instance.
func Delete(ctx context.Context, rt RoundTripper, uri string, sel Selectors) error {
	_, err := rt.RoundTrip(ctx, &Request{Action: ActionDelete, ResourceURI: ClassURI(uri), Selectors: sel})
	return err
}

// Invoke calls a method and returns its Method_OUTPUT element. The parameters stand in MOF order, in the namespace of the
// class. The ReturnValue in the output is not judged here: a machine that refuses mostly answers with one that is not 0.
func Invoke(ctx context.Context, rt RoundTripper, uri, method string, sel Selectors, params ...Element) (*Element, error) {
	uri = ClassURI(uri)
	input := Group(uri, method+"_INPUT", params...)
	out, err := operate(ctx, rt, &Request{Action: uri + "/" + method, ResourceURI: uri, Selectors: sel, Body: &input})
	if err != nil {
		return nil, err
	}
	if out.Local != method+"_OUTPUT" {
		return nil, indeterminate(fmt.Errorf("wsman: %s: answer holds <%s>", method, printable(out.Local)))
	}
	return out, nil
}

// operate sends a request whose answer has a body.
func operate(ctx context.Context, rt RoundTripper, req *Request) (*Element, error) {
	resp, err := rt.RoundTrip(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		err := fmt.Errorf("wsman: answer to %s of %s has an empty body", ClassName(req.Action), ClassName(req.ResourceURI))
		if !repeatable(req.Action) {
			err = indeterminate(err)
		}
		return nil, err
	}
	return resp.Body, nil
}

// An Identity is what a service says about itself before anything else.
type Identity struct {
	ProtocolVersion  string   // the namespace of WS-Management
	ProductVendor    string   // "Intel(r)"
	ProductVersion   string   // "AMT 8.1"
	DASHVersion      string   // "1.0.0"
	SecurityProfiles []string // URIs
}

// Identify asks a service who it is.
func Identify(ctx context.Context, rt RoundTripper) (Identity, error) {
	body, err := operate(ctx, rt, &Request{Body: &Element{Name: Name{NSIdentity, "Identify"}}})
	if err != nil {
		return Identity{}, err
	}
	if body.Local != "IdentifyResponse" {
		return Identity{}, fmt.Errorf("wsman: %w: answer to Identify holds <%s>", ErrNotAMT, printable(body.Local))
	}
	id := Identity{
		ProtocolVersion: body.ChildText("ProtocolVersion"),
		ProductVendor:   body.ChildText("ProductVendor"),
		ProductVersion:  body.ChildText("ProductVersion"),
		DASHVersion:     body.ChildText("DASHVersion"),
	}
	for name := range body.Child("SecurityProfiles").All("SecurityProfileName") {
		id.SecurityProfiles = append(id.SecurityProfiles, name.TrimText())
	}
	return id, nil
}
