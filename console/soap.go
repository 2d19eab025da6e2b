package console

import (
	"context"

	"github.com/outband/outband/wire/soap"
)

// Legacy returns a client of the SOAP interface that releases 1 to 8 answer, on the same connections and account. It
// fails with [soap.ErrNoService] on newer machines. What both interfaces can do should be done by WS-Man, which
// release 3 and newer have.
func (c *Client) Legacy() *soap.Client { return &soap.Client{Poster: poster{c}} }

// poster carries SOAP calls.
type poster struct{ c *Client }

// Post implements [soap.Poster].
func (p poster) Post(ctx context.Context, path, soapAction string, body []byte) (httpStatus int, reply []byte, err error) {
	if p.c.over != nil {
		return 0, nil, errOver
	}
	via, err := p.c.transport(ctx)
	if err != nil {
		return 0, nil, err
	}
	got, err := via.SOAP(ctx, path, soapAction, soap.ContentType, body)
	if err != nil {
		return 0, nil, err
	}
	return got.Status, got.Body, nil
}
