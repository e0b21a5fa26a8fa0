"""PyTorch modules as people write them, each with what `from_torch` needs to know of it."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

T, F = 12, 3


class TutorialEncoder(nn.Module):
    """Two LSTMs that narrow, as in the tutorial on heartbeats of Venelin Valkov."""

    def __init__(self):
        super().__init__()
        self.rnn1 = nn.LSTM(F, 10, batch_first=True)
        self.rnn2 = nn.LSTM(10, 5, batch_first=True)

    def forward(self, x):
        return self.rnn2(self.rnn1(x)[0])[1][0][-1]


class TutorialDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn1 = nn.LSTM(5, 5, batch_first=True)
        self.rnn2 = nn.LSTM(5, 10, batch_first=True)
        self.output_layer = nn.Linear(10, F)

    def forward(self, code):
        x = code[:, None].repeat(1, T, 1)
        return self.output_layer(self.rnn2(self.rnn1(x)[0])[0])


class Tutorial(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = TutorialEncoder(), TutorialDecoder()

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Simple(nn.Module):
    """An encoder, a decoder and a linear layer, LSTM or GRU, with options of `nn.LSTM`."""

    def __init__(self, kind=nn.LSTM, units=6, **options):
        super().__init__()
        wide = units * (2 if options.get("bidirectional") else 1)
        self.encoder = kind(F, units, batch_first=True, **options)
        self.decoder = kind(wide, units, batch_first=True, **options)
        self.fc = nn.Linear(wide, F)
        self.directions = wide // units

    def forward(self, x):
        state = self.encoder(x)[1]
        h_n = state[0] if isinstance(state, tuple) else state
        code = torch.cat([*h_n[-self.directions :]], 1)
        return self.fc(self.decoder(code[:, None].expand(-1, x.shape[1], -1))[0])


class BothWaysIn(nn.Module):
    """A bidirectional encoder, and a decoder of one direction."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.LSTM(F, 4, batch_first=True, bidirectional=True)
        self.decoder, self.fc = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, F)

    def forward(self, x):
        code = torch.cat([*self.encoder(x)[1][0]], 1)
        return self.fc(self.decoder(code[:, None].repeat(1, T, 1))[0])


class NoHead(nn.Module):
    """The decoder's states are the output."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.LSTM(F, 7, batch_first=True), nn.LSTM(7, F, batch_first=True)

    def forward(self, x):
        return self.dec(self.enc(x)[1][0][-1][:, None].repeat(1, T, 1))[0]


class Bottleneck(nn.Module):
    """A linear code, and a linear layer from it to the decoder."""

    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.encoder_rnn = kind(F, 8, num_layers=2, batch_first=True)
        self.encoder_fc = nn.Linear(8, 4)
        self.decoder_fc = nn.Linear(4, 6)
        self.decoder_rnn = kind(6, 8, num_layers=2, batch_first=True)
        self.output = nn.Sequential(nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, F))

    def forward(self, x):
        code = self.encoder_fc(self.encoder_rnn(x)[0][:, -1])
        read = self.decoder_fc(code)[:, None].repeat(1, T, 1)
        return self.output(self.decoder_rnn(read)[0])


class FromState(nn.Module):
    """The decoder starts from the encoder's state, and reads zeros."""

    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.encoder = kind(F, 5, num_layers=2, batch_first=True)
        self.decoder = kind(F, 5, num_layers=2, batch_first=True)
        self.out = nn.Linear(5, F)

    def forward(self, x):
        return self.out(self.decoder(torch.zeros_like(x), self.encoder(x)[1])[0])


class FeedsBack(nn.Module):
    """The decoder starts from the encoder's state, and reads its previous output."""

    def __init__(self, steps=T):
        super().__init__()
        self.steps = steps
        self.encoder, self.decoder = nn.LSTM(F, 5, batch_first=True), nn.LSTMCell(F, 5)
        self.out = nn.Linear(5, F)

    def forward(self, x):
        h, c = (state[0] for state in self.encoder(x)[1])
        output, outputs = torch.zeros(len(x), F), []
        for _ in range(self.steps):
            h, c = self.decoder(output, (h, c))
            output = self.out(h)
            outputs.append(output)
        return torch.stack(outputs, 1)


class Reversed(nn.Module):
    """The decoder writes the sequence from its end."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(F, 5, batch_first=True), nn.LSTM(5, 5)
        self.out = nn.Linear(5, F)

    def forward(self, x):
        code = self.encoder(x)[1][0][-1]
        return self.out(self.decoder(code.expand(T, -1, -1))[0]).transpose(0, 1).flip(1)


class Regressor(nn.Module):
    """LSTM and linear layers on the last state: a forecaster or a classifier."""

    def __init__(self, outputs, *, hidden=None, kind=nn.LSTM, shape=None, softmax=False, **options):
        super().__init__()
        wide = 6 * (2 if options.get("bidirectional") else 1)
        self.lstm = kind(F, 6, batch_first=True, **options)
        self.shape, self.softmax = shape, softmax
        widths = [wide, *([hidden] if hidden else []), outputs]
        for i, (one, other) in enumerate(pairwise(widths)):
            setattr(self, f"fc{i}", nn.Linear(one, other))

    def forward(self, x):
        state = self.lstm(x)[1]
        h_n = state[0] if isinstance(state, tuple) else state
        x = torch.cat([*h_n[-2:]], 1) if self.lstm.bidirectional else h_n[-1]
        x = self.fc0(x)
        if hasattr(self, "fc1"):
            x = self.fc1(torch.relu(x))
        x = torch.softmax(x, 1) if self.softmax else x
        return x if self.shape is None else x.reshape(-1, *self.shape)


class MeanPooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.fc = nn.GRU(F, 6, batch_first=True), nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.gru(x)[0].mean(1))


class OnlyEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(F, 6, num_layers=2, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[1][0][-1]


class ByNumber(nn.Module):
    """Names that do not say what encodes."""

    def __init__(self):
        super().__init__()
        self.lstm1, self.lstm2 = nn.LSTM(F, 6, batch_first=True), nn.LSTM(6, 6, batch_first=True)
        self.fc = nn.Linear(6, F)

    def forward(self, x):
        code = self.lstm1(x)[1][0][-1]
        return self.fc(self.lstm2(code[:, None].repeat(1, T, 1))[0])


class Wide(nn.Module):
    """A linear decoder that writes all steps."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(F, 6, batch_first=True), nn.Linear(6, T * F)

    def forward(self, x):
        return self.decoder(self.encoder(x)[1][0][-1]).reshape(-1, T, F)


class Conditioned(nn.Module):
    """Reads the code and its previous output at each step, for a forecast."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.encoder, self.decoder = nn.GRU(F, 5, batch_first=True), nn.GRUCell(5 + F, 7)
        self.out = nn.Linear(7, F)

    def forward(self, x):
        code = self.encoder(x)[1][0]
        h, output, outputs = torch.zeros(len(x), 7), torch.zeros(len(x), F), []
        for _ in range(self.steps):
            h = self.decoder(torch.cat([code, output], 1), h)
            output = self.out(h)
            outputs.append(output)
        return torch.stack(outputs, 1)


class Case(NamedTuple):
    """A module, the arguments of `from_torch`, and the method with the same outputs."""

    make: object
    options: dict
    method: str = "reconstruct"


FORECAST, CLASSES = "predict", "predict_proba"
CASES = {
    "tutorial": Case(Tutorial, {}),
    "lstm": Case(Simple, {}),
    "two layers": Case(lambda: Simple(num_layers=2, dropout=0.2), {}),
    "bidirectional": Case(lambda: Simple(bidirectional=True, num_layers=2), {}),
    "bidirectional encoder": Case(BothWaysIn, {}),
    "without bias": Case(lambda: Simple(bias=False), {}),
    "gru": Case(lambda: Simple(nn.GRU, num_layers=2), {}),
    "gru without bias": Case(lambda: Simple(nn.GRU, bias=False, bidirectional=True), {}),
    "no head": Case(NoHead, {}),
    "bottleneck": Case(Bottleneck, {}),
    "gru bottleneck": Case(lambda: Bottleneck(nn.GRU), {}),
    "from state": Case(FromState, {"decoder_kind": "state"}),
    "gru from state": Case(lambda: FromState(nn.GRU), {"decoder_kind": "state"}),
    "feeds back": Case(FeedsBack, {"decoder_kind": "state_previous"}),
    "reversed": Case(Reversed, {"reverse_target": True}),
    "wide": Case(Wide, {"encoder": "encoder", "head": "decoder", "task": "reconstruction"}),
    "by number": Case(ByNumber, {"encoder": "lstm1", "decoder": "lstm2", "head": "fc"}),
    "encoder alone": Case(OnlyEncoder, {}, "transform"),
    "next value": Case(lambda: Regressor(1), {}, FORECAST),
    "next step": Case(lambda: Regressor(F, kind=nn.GRU), {}, FORECAST),
    "five values": Case(lambda: Regressor(5, hidden=9), {}, FORECAST),
    "four steps": Case(lambda: Regressor(4 * F, shape=(4, F)), {"horizon": 4}, FORECAST),
    "two of four": Case(lambda: Regressor(8, shape=(4, 2)), {"horizon": 4}, FORECAST),
    "forecast from both": Case(
        lambda: Regressor(2, bidirectional=True, num_layers=2), {}, FORECAST
    ),
    "mean of states": Case(MeanPooled, {"pooling": "mean"}, FORECAST),
    "seq2seq": Case(
        lambda: FeedsBack(4),
        {"decoder_kind": "state_previous", "task": "forecast", "horizon": 4},
        FORECAST,
    ),
    "conditioned": Case(
        lambda: Conditioned(4),
        {"decoder_kind": "previous", "task": "forecast", "horizon": 4},
        FORECAST,
    ),
    "classes": Case(
        lambda: Regressor(4, hidden=5, softmax=True), {"task": "classification"}, CLASSES
    ),
}


def made(name):
    """The module of a case with random weights, and its arguments."""
    torch.manual_seed(0)
    case = CASES[name]
    module = case.make().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.4)
    return module, {"max_length": T, **case.options}


def outputs(module, x):
    """The outputs of a module for an array."""
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()
