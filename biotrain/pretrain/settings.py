"""How a model is pre-trained. The defaults are those of the paper: all other people, AdamW, 40 epochs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingSettings(BaseModel):
    """How the network of other people is trained, in torch, with AdamW."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(default=None, description="None: the EpiDeNet that suits the length of the windows")
    norm: Literal["group", "frozen"] = "group"
    epochs: int = Field(default=40, ge=1, le=10_000)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0, description="AdamW's own default")
    seed: int = Field(default=0, ge=0)
