// Copyright (c) 2026 the virtengine.incident authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	sdkmath "cosmossdk.io/math"
	"github.com/spf13/cobra"

	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

const envPrefix = "VE"

// nodeHome is the home that a command uses when neither flag nor environment names one.
func nodeHome() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		dir = "."
	}
	return filepath.Join(dir, ".virtengine")
}

// adoptEnvironment copies VE_* to the prefix that the SDK reads, which is the
// executable's file name whatever the program asks for. Variables that already
// carry that prefix are dropped: VirtEngine does not know them.
func adoptEnvironment() error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	sdkPrefix := strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(filepath.Base(executable))) + "_"
	if sdkPrefix == envPrefix+"_" {
		return nil
	}
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, sdkPrefix) {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if rest, found := strings.CutPrefix(name, envPrefix+"_"); found {
			if err := os.Setenv(sdkPrefix+rest, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func setSDKConfig() {
	config := sdk.GetConfig()
	config.SetBech32PrefixForAccount(bech32Prefix, bech32Prefix+"pub")
	config.SetBech32PrefixForValidator(bech32Prefix+"valoper", bech32Prefix+"valoperpub")
	config.SetBech32PrefixForConsensusNode(bech32Prefix+"valcons", bech32Prefix+"valconspub")
	config.Seal()
	sdk.DefaultBondDenom = baseDenom
	sdk.DefaultPowerReduction = sdkmath.NewInt(1_000_000)
}

func newRoot() (*cobra.Command, error) {
	setSDKConfig()
	if err := adoptEnvironment(); err != nil {
		return nil, err
	}
	return newRootCommand()
}

func main() {
	root, err := newRoot()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
	if err := svrcmd.Execute(root, envPrefix, nodeHome()); err != nil {
		os.Exit(1)
	}
}
