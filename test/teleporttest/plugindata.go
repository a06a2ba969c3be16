package teleporttest

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gravitational/teleport/api/client/proto"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/teleport/api/utils"
	"github.com/gravitational/trace"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Plugin is the name under which pdhook and Teleport's own plugin keep their data.
const Plugin = "pagerduty"

const maxPluginData = 1 << 20

// pluginData is the data of one request. It outlives the request: until an hour after the end of the
// access as it was when the data was created.
type pluginData struct {
	*types.PluginDataV3
	expires time.Time
}

// PluginData gives what Plugin keeps for a request, nil when there is nothing. The request may be gone.
func (s *Server) PluginData(id string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.livePluginData(id)
	if !ok || data.Entries()[Plugin] == nil {
		return nil
	}
	return maps.Clone(data.Entries()[Plugin].Data)
}

// SetPluginData writes keys of Plugin without looking, as Teleport's own plugin might have done before
// pdhook came. Other keys stay; a key set to "" is deleted.
func (s *Server) SetPluginData(id string, set map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updatePluginData(types.PluginDataUpdateParams{
		Kind: types.KindAccessRequest, Resource: id, Plugin: Plugin, Set: set,
	})
}

// GetPluginData answers with an empty list when there is nothing. The plugin in the filter selects
// resources, not entries.
func (a *authService) GetPluginData(ctx context.Context, filter *types.PluginDataFilter) (*proto.PluginDataSeq, error) {
	if _, err := a.s.callerWith(ctx, ReadRequests, types.VerbList, types.VerbRead); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	seq := new(proto.PluginDataSeq)
	for _, id := range slices.Sorted(maps.Keys(a.s.data)) {
		if data, ok := a.s.livePluginData(id); ok && filter.Match(data) {
			seq.PluginData = append(seq.PluginData, data.PluginDataV3)
		}
	}
	return seq, nil
}

// UpdatePluginData is compare-and-swap.
func (a *authService) UpdatePluginData(ctx context.Context, in *types.PluginDataUpdateParams) (*emptypb.Empty, error) {
	if _, err := a.s.callerWith(ctx, WritePluginData, types.VerbUpdate); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if err := a.s.updatePluginData(*in); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// livePluginData gives the data of a request unless its time is over. The caller holds s.mu.
func (s *Server) livePluginData(id string) (*pluginData, bool) {
	data, ok := s.data[id]
	return data, ok && s.opts.Now().Before(data.expires)
}

// updatePluginData replaces the data of a request by a changed copy, or leaves it. The caller holds s.mu.
func (s *Server) updatePluginData(params types.PluginDataUpdateParams) error {
	if params.Kind != types.KindAccessRequest {
		return trace.BadParameter("unsupported plugin data kind %q", params.Kind)
	}
	old, err := s.pluginDataFor(params.Resource)
	if err != nil {
		return err
	}
	next := utils.CloneProtoMsg(old.PluginDataV3)
	if err := next.Update(params); err != nil {
		return err
	}
	if next.Size() > maxPluginData {
		return trace.BadParameter("plugin data size limit exceeded")
	}
	s.data[params.Resource] = &pluginData{PluginDataV3: next, expires: old.expires}
	s.announce()
	return nil
}

// pluginDataFor gives the data of a request, or an empty one as long as the request exists. The caller
// holds s.mu.
func (s *Server) pluginDataFor(id string) (*pluginData, error) {
	if data, ok := s.livePluginData(id); ok {
		return data, nil
	}
	req, ok := s.requests[id]
	if !ok {
		return nil, trace.NotFound("access request %q is not found", id)
	}
	data := &types.PluginDataV3{SubKind: types.KindAccessRequest, Metadata: types.Metadata{Name: id}}
	if err := data.CheckAndSetDefaults(); err != nil {
		return nil, err
	}
	return &pluginData{PluginDataV3: data, expires: req.GetAccessExpiry().Add(time.Hour)}, nil
}
