// Copyright (c) 2026 the virtengine.incident authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"

	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/depinject"
	"cosmossdk.io/log"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/debug"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/client/pruning"
	"github.com/cosmos/cosmos-sdk/client/rpc"
	"github.com/cosmos/cosmos-sdk/client/snapshot"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/server"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	"github.com/cosmos/cosmos-sdk/types/module"
	authcmd "github.com/cosmos/cosmos-sdk/x/auth/client/cli"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
)

// ProvideClientContext is exported because the container accepts only exported providers.
func ProvideClientContext(
	cdc codec.Codec, registry codectypes.InterfaceRegistry, amino *codec.LegacyAmino, txConfig client.TxConfig,
) client.Context {
	return client.Context{}.
		WithCodec(cdc).
		WithInterfaceRegistry(registry).
		WithLegacyAmino(amino).
		WithTxConfig(txConfig).
		WithInput(os.Stdin).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithHomeDir(nodeHome())
}

func newRootCommand() (*cobra.Command, error) {
	var (
		cliOptions autocli.AppOptions
		basics     module.BasicManager
		clientCtx  client.Context
	)
	err := depinject.Inject(
		depinject.Configs(appConfig(), depinject.Supply(log.NewNopLogger()), depinject.Provide(ProvideClientContext)),
		&cliOptions, &basics, &clientCtx,
	)
	if err != nil {
		return nil, err
	}
	root := &cobra.Command{
		Use:           "virtengine",
		Short:         "Stand-in for VirtEngine's node: a stock chain with fault hooks",
		SilenceUsage:  true,
		SilenceErrors: false,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return prepare(cmd, clientCtx)
		},
	}
	server.AddCommands(root, nodeHome(), createApp, exportApp, func(*cobra.Command) {})
	root.AddCommand(
		server.StatusCommand(),
		genesisCommand(clientCtx.TxConfig, basics),
		queryCommand(),
		txCommand(),
		keys.Commands(),
		debug.Cmd(),
		pruning.Cmd(createApp, nodeHome()),
		snapshot.Cmd(createApp),
	)
	cliOptions.ClientCtx = clientCtx
	if err := cliOptions.EnhanceRootCommand(root); err != nil {
		return nil, err
	}
	answerAsVirtEngine(root)
	return root, nil
}

// prepare runs before every command. As in VirtEngine the files config.toml and
// app.toml are written into the home when they are missing, whatever the command.
// Configuration comes before the client context, so that VE_* can set flags.
func prepare(cmd *cobra.Command, clientCtx client.Context) error {
	cmd.SetOut(cmd.OutOrStdout())
	cmd.SetErr(cmd.ErrOrStderr())
	appToml := serverconfig.DefaultConfig()
	appToml.MinGasPrices = "0.0025" + baseDenom
	appToml.API.Enable = true
	err := server.InterceptConfigsPreRunHandler(cmd, serverconfig.DefaultConfigTemplate, *appToml, cmtcfg.DefaultConfig())
	if err != nil {
		return err
	}
	clientCtx, err = client.ReadPersistentCommandFlags(clientCtx.WithCmdContext(cmd.Context()), cmd.Flags())
	if err != nil {
		return err
	}
	return client.SetCmdClientContextHandler(clientCtx, cmd)
}

// genesisCommand keeps VirtEngine's names: there is no top-level init, and the
// stock add-genesis-account and collect-gentxs are called add-account and collect.
func genesisCommand(txConfig client.TxConfig, basics module.BasicManager) *cobra.Command {
	addressCodec := txConfig.SigningContext().AddressCodec()
	validatorCodec := txConfig.SigningContext().ValidatorAddressCodec()
	balances := banktypes.GenesisBalancesIterator{}
	gentxBasic := basics[genutiltypes.ModuleName].(genutil.AppModuleBasic)

	addAccount := genutilcli.AddGenesisAccountCmd(nodeHome(), addressCodec)
	addAccount.Use = "add-account [address_or_key_name] [coin][,[coin]]"
	collect := genutilcli.CollectGenTxsCmd(balances, nodeHome(), gentxBasic.GenTxValidator, validatorCodec)
	collect.Use = "collect"

	cmd := &cobra.Command{Use: "genesis", Short: "Commands for the genesis file", RunE: client.ValidateCmd}
	cmd.AddCommand(
		genutilcli.InitCmd(basics, nodeHome()),
		addAccount,
		genutilcli.GenTxCmd(basics, txConfig, balances, nodeHome(), validatorCodec),
		collect,
		genutilcli.ValidateGenesisCmd(basics),
	)
	return cmd
}

func queryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "query",
		Aliases: []string{"q"},
		Short:   "Query the chain through a node",
		// Help and exit 0 for a module that does not exist: VirtEngine's answer, and a trap for callers.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		rpc.WaitTxCmd(),
		server.QueryBlockCmd(),
		server.QueryBlocksCmd(),
		server.QueryBlockResultsCmd(),
		authcmd.QueryTxsByEventsCmd(),
		authcmd.QueryTxCmd(),
	)
	cmd.PersistentFlags().String(flags.FlagChainID, "", "The network chain ID")
	return cmd
}

func txCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tx", Short: "Send transactions", RunE: client.ValidateCmd}
	cmd.AddCommand(
		authcmd.GetSignCommand(),
		authcmd.GetBroadcastCommand(),
		authcmd.GetEncodeCommand(),
		authcmd.GetDecodeCommand(),
		authcmd.GetSimulateCmd(),
	)
	cmd.PersistentFlags().String(flags.FlagChainID, "", "The network chain ID")
	return cmd
}
