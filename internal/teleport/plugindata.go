package teleport

import (
	"context"
	"fmt"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
)

// plugin is the name under which Teleport's own plugin keeps its data, too, and which Access Monitoring Rules
// notify: pdhook takes over from it.
const plugin = "pagerduty"

// PluginData gives what is kept with a request in Teleport, empty when there is nothing. It can be read
// for a while after the request is gone.
func (c *Client) PluginData(ctx context.Context, id access.RequestID) (map[string]string, error) {
	if id == "" {
		return nil, errNoID
	}
	var list []types.PluginData
	err := c.read(ctx, callTimeout, fmt.Sprintf("reading plugin data of %s", id), func(ctx context.Context, t *client.Client) (err error) {
		list, err = t.GetPluginData(ctx, types.PluginDataFilter{Kind: types.KindAccessRequest, Resource: string(id), Plugin: plugin})
		return err
	})
	if err != nil {
		return nil, err
	}
	data := make(map[string]string)
	for _, d := range list {
		if entry := d.Entries()[plugin]; d.GetName() == string(id) && entry != nil {
			for key, value := range entry.Data {
				data[key] = value
			}
		}
	}
	return data, nil
}

// UpdatePluginData sets keys if all keys of expect have the values given there; "" stands for a key that is
// absent, in both. access.ErrConflict means that they have others and nothing was written, access.ErrNotFound
// that the request is gone. With an unclear failure the keys may have been set.
func (c *Client) UpdatePluginData(ctx context.Context, id access.RequestID, set, expect map[string]string) error {
	if id == "" {
		return errNoID
	}
	return c.write(ctx, fmt.Sprintf("writing plugin data of %s", id), func(ctx context.Context, t *client.Client) error {
		return t.UpdatePluginData(ctx, types.PluginDataUpdateParams{
			Kind: types.KindAccessRequest, Resource: string(id), Plugin: plugin, Set: set, Expect: expect,
		})
	})
}
