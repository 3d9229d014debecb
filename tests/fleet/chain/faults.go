// Copyright (c) 2026 the virtengine.incident authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	storetypes "cosmossdk.io/store/types"
	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// faultStore holds the one key that makes a node's application hash differ. It
// is part of every node's state, empty on the healthy ones.
const faultStore = "rigfault"

// faults is the content of <home>/config/faults.json. Zero means "not asked for".
type faults struct {
	// AppHashAt: at this height the node writes a key that others do not have.
	AppHashAt int64 `json:"app_hash_at"`
	// PanicAt: executing this height panics, at first sight and on every replay.
	PanicAt int64 `json:"panic_at"`
	// RejectAt: from this height on every proposal is rejected.
	RejectAt int64 `json:"reject_at"`
	// SlowBlockMS: milliseconds that each block's execution sleeps.
	SlowBlockMS int64 `json:"slow_block_ms"`
}

type faultHooks struct {
	path string
	key  *storetypes.KVStoreKey
	app  *runtime.App
}

func newFaultHooks(home string, key *storetypes.KVStoreKey, app *runtime.App) *faultHooks {
	return &faultHooks{path: filepath.Join(home, "config", "faults.json"), key: key, app: app}
}

// read looks at the file anew each time, so that a fault comes and goes without
// a restart. A file that cannot be read, or names an unknown fault, is a panic: a
// rig that believes it has injected a fault must not see a healthy node instead.
func (h *faultHooks) read() faults {
	var f faults
	raw, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f
	}
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&f)
	}
	if err != nil {
		panic(fmt.Sprintf("rig fault file %s: %v", h.path, err))
	}
	return f
}

func (h *faultHooks) preBlock(ctx sdk.Context, req *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
	f := h.read()
	if f.SlowBlockMS > 0 {
		time.Sleep(time.Duration(f.SlowBlockMS) * time.Millisecond)
	}
	if f.PanicAt == req.Height {
		panic(fmt.Sprintf("rig fault: panic at height %d", req.Height))
	}
	if f.AppHashAt == req.Height {
		ctx.KVStore(h.key).Set([]byte("diverged"), sdk.Uint64ToBigEndian(uint64(req.Height)))
	}
	return h.app.PreBlocker(ctx, req)
}

func (h *faultHooks) processProposal(next sdk.ProcessProposalHandler) sdk.ProcessProposalHandler {
	return func(ctx sdk.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
		if at := h.read().RejectAt; at > 0 && req.Height >= at {
			return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
		}
		return next(ctx, req)
	}
}
