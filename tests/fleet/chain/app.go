// Copyright (c) 2026 the virtengine.incident authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"cosmossdk.io/depinject"
	"cosmossdk.io/log"
	storetypes "cosmossdk.io/store/types"
	upgradekeeper "cosmossdk.io/x/upgrade/keeper"
	upgradetypes "cosmossdk.io/x/upgrade/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/cast"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/staking"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
)

// upgradeName is set by the linker (-X main.upgradeName=v2): a binary that knows
// this one upgrade is then a relink away, not a change of source.
var upgradeName string

// standIn is the application: stock modules plus the fault hooks.
type standIn struct {
	*runtime.App

	codec   codec.Codec
	staking *stakingkeeper.Keeper
	upgrade *upgradekeeper.Keeper
}

// newStandIn builds the application over db. When load is false no version is
// loaded yet: the caller loads a height of its own choice.
func newStandIn(
	logger log.Logger, db dbm.DB, traceStore io.Writer, load bool,
	appOpts servertypes.AppOptions, baseAppOptions ...func(*baseapp.BaseApp),
) (*standIn, error) {
	app := &standIn{}
	var builder *runtime.AppBuilder
	err := depinject.Inject(
		depinject.Configs(appConfig(), depinject.Supply(appOpts, logger)),
		&builder, &app.codec, &app.staking, &app.upgrade,
	)
	if err != nil {
		return nil, err
	}
	app.App = builder.Build(db, traceStore, baseAppOptions...)

	faultKey := storetypes.NewKVStoreKey(faultStore)
	if err := app.RegisterStores(faultKey); err != nil {
		return nil, err
	}
	hooks := newFaultHooks(cast.ToString(appOpts.Get(flags.FlagHome)), faultKey, app.App)
	// The runtime keeps a PreBlocker that is set before Load and would put its own otherwise.
	app.SetPreBlocker(hooks.preBlock)
	app.SetProcessProposal(hooks.processProposal(baseapp.NoOpProcessProposal()))

	if upgradeName != "" {
		app.upgrade.SetUpgradeHandler(upgradeName,
			func(ctx context.Context, _ upgradetypes.Plan, from module.VersionMap) (module.VersionMap, error) {
				return app.ModuleManager.RunMigrations(ctx, app.Configurator(), from)
			})
	}
	if err := app.Load(load); err != nil {
		return nil, err
	}
	return app, nil
}

// createApp is the server's constructor. The server gives no way to return an
// error, so a store that cannot be loaded ends the process as in every SDK chain.
func createApp(logger log.Logger, db dbm.DB, traceStore io.Writer, appOpts servertypes.AppOptions) servertypes.Application {
	app, err := newStandIn(logger, db, traceStore, true, appOpts, server.DefaultBaseappOptions(appOpts)...)
	if err != nil {
		panic(err)
	}
	return app
}

// exportApp writes the state at height (-1: the newest) as a genesis document.
func exportApp(
	logger log.Logger, db dbm.DB, traceStore io.Writer, height int64, forZeroHeight bool,
	_ []string, appOpts servertypes.AppOptions, modules []string,
) (servertypes.ExportedApp, error) {
	if forZeroHeight {
		return servertypes.ExportedApp{}, fmt.Errorf("export for zero height is not supported")
	}
	app, err := newStandIn(logger, db, traceStore, height == -1, appOpts)
	if err != nil {
		return servertypes.ExportedApp{}, err
	}
	if height != -1 {
		if err := app.LoadHeight(height); err != nil {
			return servertypes.ExportedApp{}, err
		}
	}
	ctx := app.NewContextLegacy(true, cmtproto.Header{Height: app.LastBlockHeight()})
	genesis, err := app.ModuleManager.ExportGenesisForModules(ctx, app.codec, modules)
	if err != nil {
		return servertypes.ExportedApp{}, err
	}
	state, err := json.MarshalIndent(genesis, "", "  ")
	if err != nil {
		return servertypes.ExportedApp{}, err
	}
	validators, err := staking.WriteValidators(ctx, app.staking)
	return servertypes.ExportedApp{
		AppState:        state,
		Validators:      validators,
		Height:          app.LastBlockHeight() + 1,
		ConsensusParams: app.GetConsensusParams(ctx),
	}, err
}
