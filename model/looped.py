"""The looped transformer: one stack of blocks, run `loops` times with the same weights.

Enters: tokens [B, T] and `Documents`. Leaves: states after each loop, or the normed state of the last, which
`readout` turns into logits. LoopCoder's architecture; with one loop it is a plain pre-norm transformer, by the same
code. Limit: logits are not computed here, since a loss over a large vocabulary must not hold them (see `model.loss`).

Legend: B batch, T positions, D width, V vocabulary.
"""

from typing import cast

import torch
from torch import Tensor, nn

from kernels.documents import Documents
from kernels.ring_layout import Ring
from model.attention import LoopedAttention, Projected, Rotation
from model.config import ModelConfig
from model.context import Context, LoopGradient, Place, context_of
from model.injection import Injection
from model.layers import RMSNorm, Rotary, SwiGLU, initialise


class Block(nn.Module):
    """Attention and feed-forward, each normed before and added to the residual."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_epsilon)
        self.attention = LoopedAttention(config)
        self.ffn_norm = RMSNorm(config.dim, config.norm_epsilon)
        self.ffn = SwiGLU(config.dim, config.ffn_dim)

    def forward(self, x_BTD: Tensor, rotation: Rotation, context: Context, place: Place) -> Tensor:
        projected = self.before(x_BTD, rotation, place.loop > 0)
        return self.after(x_BTD, context.attend(place, *projected))

    def before(self, x_BTD: Tensor, rotation: Rotation, gated: bool) -> Projected:
        """What attention takes."""
        return self.attention.project(self.attention_norm(x_BTD), rotation, gated)

    def after(self, x_BTD: Tensor, attended_BTHd: Tensor) -> Tensor:
        """The residual with attention and feed-forward."""
        x_BTD = x_BTD + self.attention.out(attended_BTHd.flatten(2))
        out_BTD: Tensor = x_BTD + self.ffn(self.ffn_norm(x_BTD))
        return out_BTD

    def compile_parts(self) -> None:
        """Compile what lies before and after attention, which has kernels of its own and shapes that change a batch."""
        self.before, self.after = torch.compile(self.before), torch.compile(self.after)  # type: ignore[method-assign]


class LoopedTransformer(nn.Module):
    """`LoopedTransformer(config, seed)(tokens_BT, documents)` is the normed state [B, T, D] of the last loop."""

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.final_norm = RMSNorm(config.dim, config.norm_epsilon)
        self.injection = Injection(config) if config.loops > 1 else None
        self.head = None if config.tie_embeddings else nn.Linear(config.dim, config.vocab_size, bias=False)
        self.rotary = Rotary(config.head_dim, config.max_length, config.rope_theta)
        self.loop_gradient = LoopGradient()  # a matter of training, not of the architecture
        initialise(self, seed, config.layers)

    @property
    def readout(self) -> Tensor:
        """The matrix [V, D] of the logits: state · readoutᵀ."""
        return self.embedding.weight if self.head is None else self.head.weight

    def compile_blocks(self) -> None:
        """`torch.compile` for every block; tens of seconds at the first pass."""
        for block in self.blocks:
            cast(Block, block).compile_parts()

    def states(self, tokens_BT: Tensor, documents: Documents | Ring) -> list[Tensor]:
        """H after each loop, [B, T, D] each; normed where `norm_each_loop` says so.

        With a `Ring` the tokens are this process's part of the rows.
        """
        return self.states_in(tokens_BT, context_of(self.config, documents, self.loop_gradient))

    def states_in(self, tokens_BT: Tensor, context: Context) -> list[Tensor]:
        """As `states`, for any kind of pass."""
        embedding_BTD = self.embedding(tokens_BT)
        rotation = self.rotary(context.positions_BT)
        states: list[Tensor] = []
        for loop in range(self.config.loops):
            x_BTD = embedding_BTD
            if states and self.injection is not None:
                x_BTD = self.injection(embedding_BTD, context.carry(states[-1], loop - 1))
            for layer, block in enumerate(self.blocks):
                x_BTD = block(x_BTD, rotation, context, Place(layer, loop))
            states.append(self.final_norm(x_BTD) if self.config.norm_each_loop else x_BTD)
        return states

    def read(self, state_BTD: Tensor) -> Tensor:
        """A state of `states` as the readout takes it: normed once, whatever the configuration."""
        normed_BTD: Tensor = state_BTD if self.config.norm_each_loop else self.final_norm(state_BTD)
        return normed_BTD

    def forward(self, tokens_BT: Tensor, documents: Documents | Ring) -> Tensor:
        return self.read(self.states(tokens_BT, documents)[-1])
