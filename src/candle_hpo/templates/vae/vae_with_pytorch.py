from __future__ import print_function

import argparse
import os
import struct
import zlib

import torch
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

# The three defaults are hyperparameters: candle puts the dictionary `hyperparams` there.
parser = argparse.ArgumentParser(description='Variational autoencoder of handwritten digits')
parser.add_argument('--batch-size', type=int, default=hyperparams['batch_size'],
                    help='images in a batch of training')
parser.add_argument('--epochs', type=int, default=hyperparams['epochs'],
                    help='times that all training images are seen')
parser.add_argument('--no-cuda', action='store_true', default=hyperparams['no_cuda'],
                    help='train on the CPU even where there is a GPU')
parser.add_argument('--seed', type=int, default=1, help='seed of all random numbers')
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device('cuda' if torch.cuda.is_available() and not args.no_cuda else 'cpu')
os.makedirs('results', exist_ok=True)

SIDE = 8  # pixels; scikit-learn's digits are 8 x 8, each pixel from 0 to 16
images = torch.tensor(load_digits().data, dtype=torch.float32) / 16
images = images[torch.randperm(len(images))]
train_loader = DataLoader(TensorDataset(images[:1500]), batch_size=args.batch_size, shuffle=True)
test_loader = DataLoader(TensorDataset(images[1500:]), batch_size=args.batch_size)


class VAE(nn.Module):
    """An encoder to the mean and log variance of a Gaussian, and a decoder from samples of it."""

    def __init__(self, pixels=SIDE * SIDE, hidden=128, latent=10):
        super(VAE, self).__init__()
        self.latent = latent
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels))

    def forward(self, batch):
        mean, log_variance = self.encoder(batch).chunk(2, dim=1)
        sample = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decoder(sample), mean, log_variance


def negative_evidence(logits, batch, mean, log_variance):
    """The negative evidence lower bound of a batch: reconstruction error plus Kullback-Leibler divergence."""
    reconstruction = functional.binary_cross_entropy_with_logits(logits, batch, reduction='sum')
    divergence = (mean.pow(2) + log_variance.exp() - 1 - log_variance).sum() / 2
    return reconstruction + divergence


def save_images(rows, path):
    """Write rows of flat images into one grey PNG file."""
    grid = torch.cat([row.view(-1, SIDE, SIDE).permute(1, 0, 2).reshape(SIDE, -1) for row in rows])
    lines = (grid.clamp(0, 1) * 255).byte().cpu()
    data = b''.join(b'\0' + bytes(line.tolist()) for line in lines)

    def chunk(kind, content):
        return (struct.pack('>I', len(content)) + kind + content
                + struct.pack('>I', zlib.crc32(kind + content)))

    header = struct.pack('>IIBBBBB', lines.shape[1], lines.shape[0], 8, 0, 0, 0, 0)
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
                   + chunk(b'IDAT', zlib.compress(data)) + chunk(b'IEND', b''))


model = VAE().to(device)
optimizer = optim.Adam(model.parameters(), lr=1e-3)


def train(epoch):
    model.train()
    total = 0.0
    for (batch,) in train_loader:
        batch = batch.to(device)
        optimizer.zero_grad()
        logits, mean, log_variance = model(batch)
        loss = negative_evidence(logits, batch, mean, log_variance)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print('====> Epoch: {} Average loss: {:.4f}'.format(epoch, total / len(train_loader.dataset)))


def test(epoch):
    model.eval()
    test_loss = 0.0
    with torch.no_grad():
        for number, (batch,) in enumerate(test_loader):
            batch = batch.to(device)
            logits, mean, log_variance = model(batch)
            test_loss += negative_evidence(logits, batch, mean, log_variance).item()
            if number == 0:
                save_images([batch[:8], torch.sigmoid(logits[:8])],
                            'results/reconstruction_{}.png'.format(epoch))
    test_loss /= len(test_loader.dataset)
    print('====> Test set loss: {:.4f}'.format(test_loss))
    return test_loss


if __name__ == "__main__":
    for epoch in range(1, args.epochs + 1):
        train(epoch)
        val_to_return = test(epoch)
        with torch.no_grad():
            samples = torch.sigmoid(model.decoder(torch.randn(64, model.latent, device=device)))
            save_images(samples.split(8), 'results/sample_{}.png'.format(epoch))
