// Copyright (c) 2026 the virtengine.incident authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
)

// answerAsVirtEngine replaces generated commands whose flags or answers differ
// from VirtEngine's. The generated ones leave out zero values and call their
// pages --page-limit; VirtEngine prints every field and has --limit.
func answerAsVirtEngine(root *cobra.Command) {
	child(root, "comet").AddCommand(&cobra.Command{
		Use: "validator-set [height]", Short: "Get the full CometBFT validator set at given height",
		RunE: func(*cobra.Command, []string) error { return errors.New("no RPC client is defined in offline mode") },
	})
	query := child(root, "query")
	if upgrade := child(query, "upgrade"); upgrade != nil {
		// VirtEngine never added it: the plan is only to be had over REST and gRPC.
		query.RemoveCommand(upgrade)
	}
	replace(child(query, "staking"), stakingValidators())
	replace(child(query, "slashing"), signingInfos())
	replace(child(query, "slashing"), signingInfo())
	replace(child(query, "gov"), govProposals())
	query.AddCommand(hpcCommand())
}

func child(parent *cobra.Command, name string) *cobra.Command {
	for _, cmd := range parent.Commands() {
		if cmd.Name() == name {
			return cmd
		}
	}
	return nil
}

func replace(parent, cmd *cobra.Command) {
	if old := child(parent, cmd.Name()); old != nil {
		parent.RemoveCommand(old)
	}
	flags.AddQueryFlagsToCmd(cmd)
	parent.AddCommand(cmd)
}

func stakingValidators() *cobra.Command {
	cmd := &cobra.Command{
		Use: "validators", Short: "Query for all validators", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clientCtx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			page, err := client.ReadPageRequest(cmd.Flags())
			if err != nil {
				return err
			}
			res, err := stakingtypes.NewQueryClient(clientCtx).Validators(cmd.Context(),
				&stakingtypes.QueryValidatorsRequest{Pagination: page})
			if err != nil {
				return err
			}
			return clientCtx.PrintProto(res)
		},
	}
	flags.AddPaginationFlagsToCmd(cmd, "validators")
	return cmd
}

func signingInfos() *cobra.Command {
	cmd := &cobra.Command{
		Use: "signing-infos", Short: "Query signing information of all validators", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clientCtx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			page, err := client.ReadPageRequest(cmd.Flags())
			if err != nil {
				return err
			}
			res, err := slashingtypes.NewQueryClient(clientCtx).SigningInfos(cmd.Context(),
				&slashingtypes.QuerySigningInfosRequest{Pagination: page})
			if err != nil {
				return err
			}
			return clientCtx.PrintProto(res)
		},
	}
	flags.AddPaginationFlagsToCmd(cmd, "signing infos")
	return cmd
}

// signingInfo prints the inner object, without val_signing_info around it.
func signingInfo() *cobra.Command {
	return &cobra.Command{
		Use: "signing-info [validator-conspub]", Short: "Query a validator's signing information",
		Long: "Query a validator's signing information by its consensus public key (JSON) or its consensus address.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			clientCtx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			address := args[0]
			if strings.HasPrefix(strings.TrimSpace(address), "{") {
				var key cryptotypes.PubKey
				if err := clientCtx.Codec.UnmarshalInterfaceJSON([]byte(address), &key); err != nil {
					return err
				}
				address = sdk.ConsAddress(key.Address()).String()
			}
			res, err := slashingtypes.NewQueryClient(clientCtx).SigningInfo(cmd.Context(),
				&slashingtypes.QuerySigningInfoRequest{ConsAddress: address})
			if err != nil {
				return err
			}
			return clientCtx.PrintProto(&res.ValSigningInfo)
		},
	}
}

func govProposals() *cobra.Command {
	cmd := &cobra.Command{
		Use: "proposals", Short: "Query proposals", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clientCtx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			page, err := client.ReadPageRequest(cmd.Flags())
			if err != nil {
				return err
			}
			res, err := govv1.NewQueryClient(clientCtx).Proposals(cmd.Context(),
				&govv1.QueryProposalsRequest{Pagination: page})
			if err != nil {
				return err
			}
			if len(res.Proposals) == 0 {
				return errors.New("no proposals found")
			}
			return clientCtx.PrintProto(res)
		},
	}
	flags.AddPaginationFlagsToCmd(cmd, "proposals")
	return cmd
}

// hpcCommand gives the one refusal that callers meet in daily use. VirtEngine's
// command exists and its node answers Unimplemented; the answer needs a node.
func hpcCommand() *cobra.Command {
	jobs := &cobra.Command{
		Use: "jobs", Short: "Query jobs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clientCtx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			if _, err := clientCtx.Client.Status(cmd.Context()); err != nil {
				return err
			}
			inner := "rpc error: code = Unimplemented desc = method Jobs not implemented: unknown request"
			return fmt.Errorf("rpc error: code = Unknown desc = %s", inner)
		},
	}
	flags.AddPaginationFlagsToCmd(jobs, "jobs")
	cmd := &cobra.Command{Use: "hpc", Short: "Querying commands for the hpc module", RunE: client.ValidateCmd}
	replace(cmd, jobs)
	return cmd
}
